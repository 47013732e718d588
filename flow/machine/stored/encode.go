package stored

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/schema"
)

// Encode returns the stored form of an event. Its body is written into buf if that is large
// enough; buf may be nil. The error is for an event, or a value in it, that has no stored
// form.
func Encode(buf []byte, event machine.Event) (Record, error) {
	f := fields{text: buf[:0]}
	kind := ""
	switch e := event.(type) {
	case machine.Taken:
		kind = "taken"
		f.addText("key", e.Key)
		f.addText("print", e.Fingerprint)
	case machine.Answered:
		kind = "answered"
		f.text = slices.Grow(f.text, 768) // an answer's usual size
		f.addText("key", e.Key)
		f.addOutcome(&e.Outcome)
	case machine.Received:
		kind = "received"
		f.addText("key", e.Receipt.Key)
		f.addSome("id", e.Receipt.ID)
		f.addText("state", e.Receipt.State)
		f.addObject("data", e.Receipt.Data)
		f.addError(e.Receipt.Error)
	case machine.Fired:
		kind = "fired"
		f.add("timer", int64(e.Timer))
	case machine.Arrived:
		kind = "arrived"
		f.add("await", int64(e.Await))
		f.addText("id", e.ID)
		f.add("data", e.Data)
	case machine.CancelRequested:
		kind = "cancel"
		f.addText("reason", e.Reason)
	case machine.Retried:
		kind = "retried"
		f.addTrue("resend", e.Resend)
	case machine.Settled:
		kind = "settled"
		f.addText("key", e.Key)
		f.add("happened", e.Happened)
		f.addSome("id", e.ID)
	default:
		return Record{}, fmt.Errorf("no stored form for %T", event)
	}
	return f.record(kind, event.Time())
}

// EncodeStart returns the stored form of a run's start, of the kind "start"; buf is as for
// Encode.
func EncodeStart(buf []byte, s machine.Start) (Record, error) {
	f := fields{text: slices.Grow(buf[:0], 512)}
	f.name("at")
	f.text = append(s.At.AppendFormat(append(f.text, '"'), time.RFC3339Nano), '"')
	f.add("inputs", s.Inputs)
	f.name("seed")
	f.text = append(base64.StdEncoding.AppendEncode(append(f.text, '"'), s.Seed), '"')
	f.addTrue("receipts", s.Receipts)
	f.addTrue("gaps", s.Gaps)
	if len(s.Random) > 0 {
		f.add("random", s.Random)
	}
	return f.record("start", s.At)
}

// fields writes a JSON object field by field, without reflection: every event of every run
// is encoded.
type fields struct {
	text []byte
	err  error
}

func (f *fields) record(kind string, at time.Time) (Record, error) {
	if f.err != nil {
		return Record{}, fmt.Errorf("store what happened: %w", f.err)
	}
	if len(f.text) == 0 {
		f.text = []byte{'{'}
	}
	return Record{At: at, Kind: kind, Body: append(f.text, '}')}, nil
}

func (f *fields) name(name string) {
	switch n := len(f.text); {
	case n == 0:
		f.text = append(slices.Grow(f.text, 128), '{')
	case f.text[n-1] != '{':
		f.text = append(f.text, ',')
	}
	f.text = append(append(append(f.text, '"'), name...), '"', ':')
}

func (f *fields) add(name string, v any) {
	f.name(name)
	if f.err == nil {
		f.text, f.err = schema.AppendUnsorted(f.text, v)
	}
}

func (f *fields) addText(name, v string) {
	f.name(name)
	f.text = schema.AppendText(f.text, v)
}

// addSome adds a text unless it is empty.
func (f *fields) addSome(name, v string) {
	if v != "" {
		f.addText(name, v)
	}
}

func (f *fields) addInt(name string, v int64) {
	if v != 0 {
		f.add(name, v)
	}
}

func (f *fields) addTrue(name string, v bool) {
	if v {
		f.add(name, true)
	}
}

func (f *fields) addObject(name string, v map[string]any) {
	if len(v) > 0 {
		f.add(name, v)
	}
}

// begin opens a field that holds fields; end closes it.
func (f *fields) begin(name string) {
	f.name(name)
	f.text = append(f.text, '{')
}

func (f *fields) end() { f.text = append(f.text, '}') }

func (f *fields) addError(e *call.Error) {
	if e == nil {
		return
	}
	f.begin("error")
	f.addText("code", e.Code)
	f.addInt("meta_code", e.MetaCode)
	f.addText("message", e.Message)
	f.addSome("class", e.Class)
	f.addInt("status_code", e.StatusCode)
	f.addObject("details", e.Details)
	f.end()
}

func (f *fields) addOutcome(o *call.Outcome) {
	f.begin("outcome")
	f.addText("status", string(o.Status))
	f.addObject("output", o.Output)
	f.addError(o.Error)
	f.addTrue("retryable", o.Retryable)
	f.addInt("after", int64(o.After))
	f.addSome("backoff", o.Backoff)
	f.addSome("throttled", o.Throttled)
	f.addTrue("held", o.Held)
	f.addTrue("refused", o.Refused)
	f.end()
}
