package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// Kinds of records besides those of package stored.
const (
	kindBegan    = "began"    // a queued run begins: its start time is that of the record
	kindAnswered = "answered" // the outcome of a call
)

func (h *Host) encodeStart(s *machine.Start) (journal.Record, error) {
	return h.sealRecord(s.Run, func(room []byte) (stored.Record, error) { return stored.EncodeStart(room, *s) })
}

func (h *Host) decodeStart(run string, r journal.Record) (machine.Start, error) {
	if r.Kind != "start" {
		return machine.Start{}, &machine.MismatchError{Reason: fmt.Sprintf("its journal starts with %q", r.Kind)}
	}
	body, err := h.openRecord(run, r)
	if err != nil {
		return machine.Start{}, err
	}
	start, err := stored.DecodeStart(run, stored.Record{At: r.At, Kind: r.Kind, Body: body})
	return start, recordError(run, err)
}

func (h *Host) encode(run string, event machine.Event) (journal.Record, error) {
	return h.sealRecord(run, func(room []byte) (stored.Record, error) { return stored.Encode(room, event) })
}

// decode returns the event of a record, nil for one that has none.
func (h *Host) decode(run string, r journal.Record) (machine.Event, error) {
	if r.Kind == kindBegan {
		return nil, nil
	}
	body, err := h.openRecord(run, r)
	if err != nil {
		return nil, err
	}
	event, err := stored.Decode(stored.Record{At: r.At, Kind: r.Kind, Body: body})
	return event, recordError(run, err)
}

func recordError(run string, err error) error {
	if _, mismatch := errors.AsType[*machine.MismatchError](err); err == nil || mismatch {
		return err
	}
	return fmt.Errorf("read a record of run %s: %w", run, err)
}

// maxBuffer bounds the buffers that are reused, in bytes.
const maxBuffer = 64 << 10

// sealRecord encodes a record into a pooled buffer and seals it.
func (h *Host) sealRecord(run string, write func(room []byte) (stored.Record, error)) (journal.Record, error) {
	room, _ := h.buffers.Get().(*[]byte)
	if room == nil {
		room = new([]byte)
	}
	defer h.buffers.Put(room)
	r, err := write(*room)
	if err != nil {
		return journal.Record{}, err
	}
	n := len(r.Body)
	both := append(append(append(r.Body, run...), ' '), r.Kind...) // the place it is sealed for, behind it
	if cap(both) <= maxBuffer {
		*room = both[:0]
	}
	body, err := h.seal(both[:n:n], both[n:])
	if err != nil {
		return journal.Record{}, fmt.Errorf("store what happened: %w", err)
	}
	return journal.Record{At: r.At, Kind: r.Kind, Body: body}, nil
}

func (h *Host) openRecord(run string, r journal.Record) ([]byte, error) {
	return h.open(r.Body, run+" "+r.Kind, "a record of run "+run)
}

// entry is a record as people may see it: without the seed of the run's random numbers.
func (h *Host) entry(run string, r journal.Record) (host.Entry, error) {
	body, err := h.openRecord(run, r)
	if err != nil {
		return host.Entry{}, err
	}
	if r.Kind == "start" {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return host.Entry{}, recordError(run, err)
		}
		delete(fields, "seed")
		if body, err = json.Marshal(fields); err != nil {
			return host.Entry{}, err
		}
	}
	return host.Entry{At: r.At, Kind: r.Kind, Data: body}, nil
}

// eventForm is the stored body of an event: its personal data.
type eventForm struct {
	Subjects []string        `json:"subjects"`
	Data     json.RawMessage `json:"data"`
}

func (h *Host) storeEvent(e host.Event, subjects []string) (journal.Event, error) {
	data, err := stored.EncodeValues(e.Data)
	var body []byte
	if err == nil {
		body, err = json.Marshal(eventForm{e.Subjects, data})
	}
	if err == nil {
		body, err = h.seal(body, []byte("event "+e.ID))
	}
	if err != nil {
		return journal.Event{}, fmt.Errorf("store an event: %w", err)
	}
	return journal.Event{ID: e.ID, Name: e.Name, Subjects: subjects, Connection: e.Connection, At: e.At, Body: body}, nil
}

func (h *Host) openEvent(e journal.Event) (host.Event, error) {
	body, err := h.open(e.Body, "event "+e.ID, "the event "+e.ID)
	if err != nil {
		return host.Event{}, err
	}
	var form eventForm
	var data map[string]any
	if err = json.Unmarshal(body, &form); err == nil {
		data, err = stored.DecodeValues(form.Data)
	}
	if err != nil {
		return host.Event{}, fmt.Errorf("read the event %s: %w", e.ID, err)
	}
	return host.Event{ID: e.ID, Name: e.Name, Subjects: form.Subjects, Connection: e.Connection, At: e.At, Data: data}, nil
}

// seal encrypts body for a place, or copies it if there is no key. Sealed bytes are stored raw if
// they cannot be mistaken for JSON, as is always so with a vault; otherwise, as was always done
// once, as a JSON string.
func (h *Host) seal(body, place []byte) ([]byte, error) {
	if h.opts.Seal == nil {
		return slices.Clone(body), nil
	}
	sealed, err := h.opts.Seal(body, place)
	if err != nil {
		return nil, fmt.Errorf("seal it: %w", err)
	}
	if encodingOf(sealed) == sealedRaw {
		return sealed, nil
	}
	return json.Marshal(sealed)
}

// open decrypts a stored body. what names it for people.
func (h *Host) open(body []byte, place, what string) ([]byte, error) {
	form := encodingOf(body)
	if h.opts.Open == nil {
		if form != plainJSON {
			return nil, fmt.Errorf("open %s: it is sealed, and this host has no key", what)
		}
		return body, nil
	}
	sealed := body
	if form == plainJSON || form == sealedText && json.Unmarshal(body, &sealed) != nil {
		return nil, fmt.Errorf("open %s: it is not sealed, and this host accepts only sealed ones", what)
	}
	body, err := h.opts.Open(sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", what, err)
	}
	return body, nil
}

// encoding is the form of a stored body.
type encoding uint8

const (
	plainJSON  encoding = iota // a JSON object, not sealed
	sealedText                 // sealed, as a JSON string
	sealedRaw                  // sealed, as raw bytes
)

func encodingOf(body []byte) encoding {
	switch {
	case len(body) == 0 || body[0] == '{':
		return plainJSON
	case body[0] == '"':
		return sealedText
	}
	return sealedRaw
}

// hash hashes what must not be readable at rest.
func (h *Host) hash(s string) string {
	if h.opts.Hash == nil {
		return s
	}
	return h.opts.Hash(s)
}
