package server

import (
	"encoding/json"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/record"
	"facteur/flow/schema"
)

// A View is what people see of runs. Sensitive values never show in it.
type View struct {
	// Numbers: phone numbers are shown in clear; otherwise all but their last digits
	// are hidden, also in the log.
	Numbers bool
}

// Run gives the head of a run.
func (v View) Run(r host.Run) Run {
	return Run{
		RunID: r.ID, Flow: r.Flow, Digest: r.Digest, Status: r.Status, By: v.text(r.By),
		StartedAt: r.Started.UTC(), EndedAt: r.Ended.UTC(), Unknown: r.Unknown,
	}
}

// Detail gives all that is known of a run.
func (v View) Detail(r *host.Report) *Detail {
	m := v.masker(r.Result.Sensitive)
	m.learn(r)
	m.blind = m.blind || isBlind(r)
	d := &Detail{
		Run: v.Run(r.Run), Inputs: m.object(r.Inputs), Outputs: m.object(r.Result.Outputs),
		Error: m.failure(r.Result.Error, r.Result.Step), Waits: []string{}, Held: []HeldCall{},
		Steps: make([]Step, len(r.Result.Steps)), Calls: make([]Call, len(r.Calls)), Journal: make([]host.Entry, len(r.Journal)),
	}
	for _, w := range r.Waits {
		d.Waits = append(d.Waits, m.text(w))
	}
	for _, h := range r.Holds {
		d.Held = append(d.Held, HeldCall{h.Step, m.text(h.Reason), h.Until.UTC()})
	}
	for i, s := range r.Result.Steps {
		d.Steps[i] = m.step(s)
	}
	for i, c := range r.Calls {
		d.Calls[i] = m.call(c)
	}
	for i, e := range r.Journal {
		d.Journal[i] = m.entry(e)
	}
	return d
}

// isBlind tells of a run of which the host cannot say all that is sensitive, because its
// journal does not fit its flow.
func isBlind(r *host.Report) bool {
	e := r.Result.Error
	return r.Run.Status == host.Mismatch || e != nil && e.Code == string(host.Mismatch)
}

// Hold gives why calls are held back.
func (v View) Hold(h host.Hold) Hold {
	return Hold{h.Scope, h.Name, v.text(h.Reason), h.Since.UTC(), h.Auto, h.Calls, h.Until.UTC()}
}

func (v View) text(s string) string {
	if v.Numbers || !isSuspect(s) {
		return s
	}
	n := numbers{}
	n.find(s)
	return n.text(s)
}

// unknown counts the steps whose outcome nobody knows.
func unknown(steps []*machine.Step) int {
	n := 0
	for _, s := range steps {
		if s.Unknown {
			n++
		}
	}
	return n
}

// A masker hides what people must not see of one run.
type masker struct {
	mask    *record.Mask
	numbers numbers // nil: they are shown
	blind   bool    // what is sensitive is not known: no values are shown
}

func (v View) masker(sensitive []any) *masker {
	m := &masker{mask: record.NewMask(sensitive), blind: sensitive == nil}
	if !v.Numbers {
		m.numbers = numbers{}
	}
	return m
}

// learn looks for phone numbers, so that they are hidden also where they have no plus.
func (m *masker) learn(r *host.Report) {
	if m.numbers == nil {
		return
	}
	m.numbers.learn(r.Inputs, "")
	for _, c := range r.Calls {
		m.numbers.learn(c.Input, "")
	}
	for _, s := range r.Result.Steps {
		m.numbers.learn(s.Outputs, "")
	}
}

func (m *masker) text(s string) string {
	s = m.mask.Text(s)
	if m.numbers != nil {
		s = m.numbers.text(s)
	}
	return s
}

func (m *masker) value(v any) any {
	if m.blind {
		return hidden(schema.JSON(v))
	}
	v = m.mask.Value(schema.JSON(v))
	if m.numbers != nil {
		v = m.numbers.value(v, "")
	}
	return v
}

// object masks an object; none is an empty one.
func (m *masker) object(v map[string]any) map[string]any {
	if len(v) == 0 {
		return map[string]any{}
	}
	out, _ := m.value(v).(map[string]any)
	return out
}

// some is object, but none is left out.
func (m *masker) some(v map[string]any) map[string]any {
	if len(v) == 0 {
		return nil
	}
	return m.object(v)
}

func (m *masker) failure(e *call.Error, step string) *Failure {
	if e == nil {
		return nil
	}
	return &Failure{e.Code, e.MetaCode, m.text(e.Message), e.Class, e.StatusCode, step, m.some(e.Details)}
}

func (m *masker) step(s *machine.Step) Step {
	out := Step{
		Path: m.text(s.Path), ID: s.ID, Flow: s.Flow, Kind: s.Kind, Status: s.Status, Attempts: s.Attempts,
		StartedAt: s.Started.UTC(), EndedAt: s.Ended.UTC(), Unknown: s.Unknown, State: s.State,
		Outputs: m.some(s.Outputs), Error: m.failure(s.Error, ""), Note: m.text(s.Note), Keys: s.Keys,
	}
	if s.Sensitive {
		out.Outputs, _ = hidden(out.Outputs).(map[string]any)
	}
	return out
}

// hidden hides all but the shape of a value.
func hidden(v any) any {
	return schema.EachLeaf(v, func(v any) any {
		if v == nil {
			return nil
		}
		return record.Hidden
	})
}

func (m *masker) call(c host.Call) Call {
	out := Call{
		Key: c.Key, Step: m.text(c.Step), Attempt: c.Attempt, Action: c.Action, Connection: c.Connection, TakenAt: c.Taken.UTC(),
		Input: m.object(c.Input), Receipts: make([]Receipt, len(c.Receipts)),
	}
	if o := c.Outcome; o != nil {
		out.Outcome = &Outcome{o.Status, m.some(o.Output), m.failure(o.Error, ""), o.Retryable}
	}
	for i, r := range c.Receipts {
		out.Receipts[i] = Receipt{r.ID, r.State, m.some(r.Data), m.failure(r.Error, "")}
	}
	return out
}

// entry masks an entry of the journal. The secrets of the run itself, which its random
// values come from, are left out.
func (m *masker) entry(e host.Entry) host.Entry {
	out := host.Entry{At: e.At.UTC(), Kind: e.Kind, Data: json.RawMessage("null")}
	v, err := schema.ReadJSON(e.Data)
	if object, ok := v.(map[string]any); ok {
		delete(object, "seed")
		delete(object, "random")
	}
	if err != nil || v == nil {
		return out
	}
	if text, err := schema.AppendJSON(nil, m.value(v)); err == nil {
		out.Data = text
	}
	return out
}
