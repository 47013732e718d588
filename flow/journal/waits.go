package journal

import "encoding/binary"

// The stored form of Waits: its fields one after another, numbers as varints, texts and lists
// after their length. Fields may be added at the end: older versions skip them, and a
// missing one is zero. Empty waits are no bytes at all.

func (w *Waits) encode() []byte {
	if w.Until.IsZero() && len(w.Subscriptions) == 0 && len(w.Keys) == 0 && w.Note == nil {
		return nil
	}
	b := make([]byte, 0, 128)
	b = binary.AppendVarint(b, encodeTime(w.Until))
	b = binary.AppendUvarint(b, uint64(len(w.Subscriptions)))
	for _, s := range w.Subscriptions {
		b = appendText(b, s.Name)
		b = appendText(b, s.Subject)
		b = appendText(b, s.Connection)
		b = binary.AppendVarint(b, encodeTime(s.Since))
	}
	b = binary.AppendUvarint(b, uint64(len(w.Keys)))
	for _, key := range w.Keys {
		b = appendText(b, key)
	}
	return appendText(b, w.Note)
}

// decodeWaits reads what encode wrote. names interns the names that recur.
func decodeWaits(b []byte, names stringPool) (w Waits, err error) {
	if len(b) == 0 {
		return w, nil
	}
	d := decoder{rest: b}
	w.Until = decodeTime(d.varint())
	if n := d.count(); n > 0 {
		w.Subscriptions = make([]Subscription, n)
	}
	for i := range w.Subscriptions {
		s := &w.Subscriptions[i]
		s.Name = names.string(d.bytes())
		s.Subject = string(d.bytes())
		s.Connection = names.string(d.bytes())
		s.Since = decodeTime(d.varint())
	}
	if n := d.count(); n > 0 {
		w.Keys = make([]string, n)
	}
	for i := range w.Keys {
		w.Keys[i] = string(d.bytes())
	}
	if note := d.bytes(); len(note) > 0 {
		w.Note = append(w.Note, note...)
	}
	if d.invalid {
		return Waits{}, errUnknownForm
	}
	return w, nil
}
