package journal

import "encoding/binary"

// The stored form of Waits: what it waits for, field by field, numbers as varints, texts
// and lists after their length. Fields may be added at the end; those who do not know them
// skip them, and what is not there is zero. Nothing at all is for waiting for nothing.

func (w *Waits) encode() []byte {
	if w.Until.IsZero() && len(w.Subscriptions) == 0 && len(w.Keys) == 0 && w.Note == nil {
		return nil
	}
	b := make([]byte, 0, 128)
	b = binary.AppendVarint(b, stamp(w.Until))
	b = binary.AppendUvarint(b, uint64(len(w.Subscriptions)))
	for _, s := range w.Subscriptions {
		b = appendText(b, s.Name)
		b = appendText(b, s.Subject)
		b = appendText(b, s.Connection)
		b = binary.AppendVarint(b, stamp(s.Since))
	}
	b = binary.AppendUvarint(b, uint64(len(w.Keys)))
	for _, key := range w.Keys {
		b = appendText(b, key)
	}
	return appendText(b, w.Note)
}

// decodeWaits reads what encode wrote. Names that come again and again are taken from known.
func decodeWaits(b []byte, known interned) (w Waits, err error) {
	if len(b) == 0 {
		return w, nil
	}
	d := decoder{rest: b}
	w.Until = instant(d.signed())
	if n := d.count(); n > 0 {
		w.Subscriptions = make([]Subscription, n)
	}
	for i := range w.Subscriptions {
		s := &w.Subscriptions[i]
		s.Name = known.string(d.bytes())
		s.Subject = string(d.bytes())
		s.Connection = known.string(d.bytes())
		s.Since = instant(d.signed())
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
	if d.bad {
		return Waits{}, errForm
	}
	return w, nil
}
