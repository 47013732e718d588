// Package stored is the stored form, as JSON, of a run's start and events and of calls,
// for hosts whose runs outlive them. Fields may be added; names and meanings never change.
package stored

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"facteur/flow/machine"
	"facteur/flow/schema"
)

// A Record is one event of a run.
type Record struct {
	At   time.Time       `json:"at"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body"`
}

type (
	startForm struct {
		At       time.Time `json:"at"`
		Inputs   object    `json:"inputs"`
		Seed     []byte    `json:"seed"`
		Receipts bool      `json:"receipts,omitempty"`
		Gaps     bool      `json:"gaps,omitempty"`
		Random   []int64   `json:"random,omitempty"`
	}
	takenForm struct {
		Key   string `json:"key"`
		Print string `json:"print"`
	}
	answeredForm struct {
		Key     string  `json:"key"`
		Outcome Outcome `json:"outcome"`
	}
	firedForm struct {
		Timer int `json:"timer"`
	}
	arrivedForm struct {
		Await int    `json:"await"`
		ID    string `json:"id"`
		Data  object `json:"data"`
	}
	cancelForm struct {
		Reason string `json:"reason"`
	}
	retriedForm struct {
		Resend bool `json:"resend,omitempty"`
	}
	settledForm struct {
		Key      string `json:"key"`
		Happened bool   `json:"happened"`
		ID       string `json:"id,omitempty"`
	}
)

// Decode is the inverse of Encode. A record of a kind that it does not know is a
// *machine.MismatchError.
func Decode(r Record) (machine.Event, error) {
	switch r.Kind {
	case "taken":
		return unpack(r, func(f takenForm) machine.Event { return machine.Taken{At: r.At, Key: f.Key, Fingerprint: f.Print} })
	case "answered":
		return unpack(r, func(f answeredForm) machine.Event {
			return machine.Answered{At: r.At, Key: f.Key, Outcome: f.Outcome.Outcome()}
		})
	case "received":
		return unpack(r, func(f Receipt) machine.Event { return machine.Received{At: r.At, Receipt: f.Receipt()} })
	case "fired":
		return unpack(r, func(f firedForm) machine.Event { return machine.Fired{At: r.At, Timer: f.Timer} })
	case "arrived":
		return unpack(r, func(f arrivedForm) machine.Event {
			return machine.Arrived{At: r.At, Await: f.Await, ID: f.ID, Data: f.Data.values()}
		})
	case "cancel":
		return unpack(r, func(f cancelForm) machine.Event { return machine.CancelRequested{At: r.At, Reason: f.Reason} })
	case "retried":
		return unpack(r, func(f retriedForm) machine.Event { return machine.Retried{At: r.At, Resend: f.Resend} })
	case "settled":
		return unpack(r, func(f settledForm) machine.Event {
			return machine.Settled{At: r.At, Key: f.Key, Happened: f.Happened, ID: f.ID}
		})
	}
	return nil, &machine.MismatchError{Reason: fmt.Sprintf("it holds %q, which this version does not know", r.Kind)}
}

// DecodeStart is the inverse of EncodeStart.
func DecodeStart(run string, r Record) (machine.Start, error) {
	var f startForm
	if r.Kind != "start" {
		return machine.Start{}, &machine.MismatchError{Reason: fmt.Sprintf("it starts with %q", r.Kind)}
	}
	if err := decode(r.Body, &f); err != nil {
		return machine.Start{}, err
	}
	return machine.Start{Run: run, At: f.At, Inputs: f.Inputs.values(), Seed: f.Seed, Receipts: f.Receipts, Gaps: f.Gaps, Random: f.Random}, nil
}

// EncodeValues gives plain values their stored form.
func EncodeValues(values map[string]any) (json.RawMessage, error) {
	return object(values).MarshalJSON()
}

// DecodeValues is the inverse of EncodeValues.
func DecodeValues(text json.RawMessage) (map[string]any, error) {
	var o object
	err := o.UnmarshalJSON(text)
	return o.values(), err
}

func unpack[F any](r Record, event func(F) machine.Event) (machine.Event, error) {
	var form F
	if err := decode(r.Body, &form); err != nil {
		return nil, fmt.Errorf("read what was stored of %q: %w", r.Kind, err)
	}
	return event(form), nil
}

func decode(body []byte, form any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return d.Decode(form)
}

// An object is a map of plain values.
type object map[string]any

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	return schema.AppendJSON(make([]byte, 0, 256), map[string]any(o))
}

// UnmarshalJSON implements json.Unmarshaler. Numbers stay what they are.
func (o *object) UnmarshalJSON(text []byte) error {
	var values map[string]any
	if err := decode(text, &values); err != nil {
		return err
	}
	*o = values
	return nil
}

// values gives a decoded object the form that values have everywhere.
func (o object) values() map[string]any {
	if o == nil {
		return nil
	}
	coerced, _ := schema.AnyType.Coerce(map[string]any(o))
	values, _ := coerced.(map[string]any)
	return values
}
