package local

import (
	"encoding/base64"
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/schema"
)

// fields writes a stored form; see startRow and the others. It is written for every call,
// so it does without reflection.
type fields struct {
	text []byte
	err  error
}

// add writes a field.
func (f *fields) add(name string, v any) {
	if f.text == nil {
		f.text = append(make([]byte, 0, 256), '{')
	} else if f.text[len(f.text)-1] != '{' {
		f.text = append(f.text, ',')
	}
	f.text = append(append(append(f.text, '"'), name...), '"', ':')
	if f.err == nil {
		f.text, f.err = schema.AppendJSON(f.text, v)
	}
}

func (f *fields) addText(name, v string) {
	if v != "" {
		f.add(name, v)
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
	f.add(name, "")
	f.text = append(f.text[:len(f.text)-2], '{')
}

func (f *fields) end() { f.text = append(f.text, '}') }

func (f *fields) addError(e *call.Error) {
	if e == nil {
		return
	}
	f.begin("error")
	f.add("code", e.Code)
	f.addInt("meta_code", e.MetaCode)
	f.add("message", e.Message)
	f.addText("class", e.Class)
	f.addInt("status_code", e.StatusCode)
	f.addObject("details", e.Details)
	f.end()
}

func (f *fields) addOutcome(o *call.Outcome) {
	f.begin("outcome")
	f.add("status", string(o.Status))
	f.addObject("output", o.Output)
	f.addError(o.Error)
	f.addTrue("retryable", o.Retryable)
	f.addInt("after", int64(o.After))
	f.addText("backoff", o.Backoff)
	f.addText("throttled", o.Throttled)
	f.addTrue("held", o.Held)
	f.addTrue("refused", o.Refused)
	f.end()
}

func (h *Host) encodeStart(s machine.Start) (journal.Record, error) {
	var f fields
	f.add("at", s.At)
	f.add("inputs", s.Inputs)
	f.add("seed", base64.StdEncoding.EncodeToString(s.Seed))
	f.addTrue("receipts", s.Receipts)
	if len(s.Random) > 0 {
		f.add("random", s.Random)
	}
	return h.pack(s.Run, "start", s.At, &f)
}

func (h *Host) encode(run string, event machine.Event) (journal.Record, error) {
	var f fields
	kind := ""
	switch e := event.(type) {
	case machine.Taken:
		kind = "taken"
		f.add("key", e.Key)
		f.add("print", e.Print)
	case machine.Answered:
		kind = "answered"
		f.add("key", e.Key)
		f.addOutcome(&e.Outcome)
	case machine.Received:
		kind = "received"
		f.add("key", e.Receipt.Key)
		f.addText("id", e.Receipt.ID)
		f.add("state", e.Receipt.State)
		f.addObject("data", e.Receipt.Data)
		f.addError(e.Receipt.Error)
	case machine.Fired:
		kind = "fired"
		f.add("timer", int64(e.Timer))
	case machine.Arrived:
		kind = "arrived"
		f.add("await", int64(e.Await))
		f.add("id", e.ID)
		f.add("data", e.Data)
	case machine.CancelRequested:
		kind = "cancel"
		f.add("reason", e.Reason)
	case machine.Retried:
		kind = "retried"
		f.add("resend", e.Resend)
	case machine.Settled:
		kind = "settled"
		f.add("key", e.Key)
		f.add("happened", e.Happened)
		f.addText("id", e.ID)
	default:
		return journal.Record{}, fmt.Errorf("no stored form for %T", event)
	}
	return h.pack(run, kind, event.Time(), &f)
}

func (h *Host) pack(run, kind string, at time.Time, f *fields) (journal.Record, error) {
	body, err := f.text, f.err
	if body == nil {
		body = []byte{'{'}
	}
	body = append(body, '}')
	if err == nil {
		body, err = h.seal(body, run, kind)
	}
	if err != nil {
		return journal.Record{}, fmt.Errorf("store what happened: %w", err)
	}
	return journal.Record{At: at, Kind: kind, Body: body}, nil
}
