package server

import (
	"encoding/json"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/record"
	"facteur/flow/schema"
)

// A View turns runs into what people are shown. Sensitive values never show in it.
type View struct {
	// Numbers: phone numbers are shown in clear; otherwise all but their last digits
	// are hidden, also in the log.
	Numbers bool
}

// Run returns the head of a run.
func (v View) Run(r host.Run) Run {
	return Run{
		RunID: r.ID, Flow: r.Flow, Digest: r.Digest, Status: r.Status, By: v.text(r.By),
		StartedAt: r.Started.UTC(), EndedAt: r.Ended.UTC(), Unknown: r.Unknown,
	}
}

// Detail returns all that is known of a run, masked.
func (v View) Detail(r *host.Report) *Detail {
	m := v.masker(r.Result.Sensitive)
	m.learn(r)
	m.hideAll = m.hideAll || sensitiveUnknown(r)
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

// sensitiveUnknown reports whether the host cannot say what is sensitive in a run, because its
// journal does not fit its flow.
func sensitiveUnknown(r *host.Report) bool {
	e := r.Result.Error
	return r.Run.Status == host.Mismatch || e != nil && e.Code == string(host.Mismatch)
}

// Hold returns why calls are held back.
func (v View) Hold(h host.Hold) Hold {
	return Hold{h.Scope, h.Name, v.text(h.Reason), h.Since.UTC(), h.Auto, h.Calls, h.Until.UTC()}
}

func (v View) text(s string) string {
	if v.Numbers || !mayHoldNumber(s) {
		return s
	}
	n := phoneNumbers{}
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
	numbers phoneNumbers // nil: they are shown
	hideAll bool         // what is sensitive is not known: no values are shown
}

func (v View) masker(sensitive []any) *masker {
	m := &masker{mask: record.NewMask(sensitive), hideAll: sensitive == nil}
	if !v.Numbers {
		m.numbers = phoneNumbers{}
	}
	return m
}

// learn collects the phone numbers of a run, so that they are hidden also where they have no plus.
func (m *masker) learn(r *host.Report) {
	if m.numbers == nil {
		return
	}
	m.numbers.add(r.Inputs, "")
	for _, c := range r.Calls {
		m.numbers.add(c.Input, "")
	}
	for _, s := range r.Result.Steps {
		m.numbers.add(s.Outputs, "")
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
	if m.hideAll {
		return hideLeaves(schema.JSON(v))
	}
	v = m.mask.Value(schema.JSON(v))
	if m.numbers != nil {
		v = m.numbers.value(v, "")
	}
	return v
}

// object masks an object; nil becomes an empty one.
func (m *masker) object(v map[string]any) map[string]any {
	if len(v) == 0 {
		return map[string]any{}
	}
	out, _ := m.value(v).(map[string]any)
	return out
}

// objectOrNil is object, but nil, so left out of the JSON, when it is empty.
func (m *masker) objectOrNil(v map[string]any) map[string]any {
	if len(v) == 0 {
		return nil
	}
	return m.object(v)
}

func (m *masker) failure(e *call.Error, step string) *Failure {
	if e == nil {
		return nil
	}
	return &Failure{e.Code, e.MetaCode, m.text(e.Message), e.Class, e.StatusCode, step, m.objectOrNil(e.Details)}
}

func (m *masker) step(s *machine.Step) Step {
	out := Step{
		Path: m.text(s.Path), ID: s.ID, Flow: s.Flow, Kind: s.Kind, Status: s.Status, Attempts: s.Attempts,
		StartedAt: s.Started.UTC(), EndedAt: s.Ended.UTC(), Unknown: s.Unknown, State: s.State,
		Outputs: m.objectOrNil(s.Outputs), Error: m.failure(s.Error, ""), Note: m.text(s.Note), Keys: s.Keys,
	}
	if s.Sensitive {
		out.Outputs, _ = hideLeaves(out.Outputs).(map[string]any)
	}
	return out
}

// hideLeaves hides all but the shape of a value.
func hideLeaves(v any) any {
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
		out.Outcome = &Outcome{o.Status, m.objectOrNil(o.Output), m.failure(o.Error, ""), o.Retryable}
	}
	for i, r := range c.Receipts {
		out.Receipts[i] = Receipt{r.ID, r.State, m.objectOrNil(r.Data), m.failure(r.Error, "")}
	}
	return out
}

// entry masks an entry of the journal. The run's seed, which its random values come from, is
// left out.
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
