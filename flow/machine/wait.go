package machine

import (
	"fmt"
	"time"

	"facteur/flow/plan"
	"facteur/flow/schema"
)

func (m *Machine) wait(s *plan.Step, do *plan.Wait, e *env, report *Step, done func(result, map[string]any)) {
	if past := m.past(e, report); past != nil && past.status == Succeeded {
		done(result{}, nil)
		return
	}
	until, f := m.until(s, do, e)
	if f != nil {
		done(f.result(), nil)
		return
	}
	(&pause{m: m, env: e, done: done, until: until}).run()
}

// A pause is a wait that goes on.
type pause struct {
	m     *Machine
	env   *env
	done  func(result, map[string]any)
	until time.Time
	timer int
	hook  hook
}

// run begins to wait, and after a retry goes on, until the same time.
func (p *pause) run() {
	if !p.until.After(p.m.now) {
		p.done(result{}, nil)
		return
	}
	p.timer = p.m.sleep(p.until, p)
	p.env.group.add(p, &p.hook)
}

func (p *pause) fired() {
	p.hook.drop()
	p.done(result{}, nil)
}

func (p *pause) stop(stopKind) {
	p.m.drop(p.timer)
	p.hook.drop()
	p.done(result{end: stopped}.at(p.run), nil)
}

func (m *Machine) until(s *plan.Step, do *plan.Wait, e *env) (time.Time, *failure) {
	if do.For != nil {
		d, f := m.duration(do.For, e, s.Place)
		return m.now.Add(d), f
	}
	return m.timestamp(do.Until, e, s.Place)
}

func (m *Machine) timestamp(v *plan.Value, e *env, place string) (time.Time, *failure) {
	x, f := m.typed(v, schema.TimestampType, e, place)
	t, _ := x.(time.Time)
	return t, f
}

func (m *Machine) duration(v *plan.Value, e *env, place string) (time.Duration, *failure) {
	x, f := m.typed(v, schema.DurationType, e, place)
	d, _ := x.(time.Duration)
	return d, f
}

// A waiting is a wait_for that goes on.
type waiting struct {
	m      *Machine
	step   *plan.Step
	do     *plan.WaitFor
	env    *env
	report *Step
	done   func(result, map[string]any)
	id     int
	timer  int
	hook   hook
	late   func() // goes on after a time-out
}

// waitFor waits for an event; one that came since the run last wrote to the subject
// counts too. After a time-out that the flow goes on from, it calls late, not done.
func (m *Machine) waitFor(s *plan.Step, do *plan.WaitFor, e *env, report *Step, done func(result, map[string]any), late func(*failure)) {
	if past := m.past(e, report); past != nil && past.status == Succeeded {
		done(result{}, past.outputs)
		return
	}
	given, f := m.text(do.Subject, e, s.Place)
	var end time.Time
	if f == nil {
		end, f = m.limit(s, do, e)
	}
	subject := given
	if f == nil && do.Event.Subject != nil {
		var err error
		if subject, err = do.Event.Subject(given); err != nil {
			f = invalid(err)
		}
	}
	if f != nil {
		done(f.result(), nil)
		return
	}
	since := m.start.At
	if at, ok := m.lastCall[subject]; ok && do.Event.SinceCall {
		since = at
	}
	m.nextAwait++
	w := &waiting{m: m, step: s, do: do, env: e, report: report, done: done, id: m.nextAwait}
	put(&m.awaits, w.id, w)
	m.out = append(m.out, Await{ID: w.id, Event: do.Event.Name, Subject: subject, Connection: do.Connection, Since: since})
	e.group.add(w, &w.hook)
	if end.IsZero() {
		return
	}
	limit := "within " + schema.FormatDuration(end.Sub(m.now))
	switch {
	case !end.After(m.now):
		limit = "in time: the time was over before the wait began"
	case do.Until != nil:
		limit = "until " + end.UTC().Format(time.RFC3339)
	}
	w.late = func() {
		f := flowError("timeout", fmt.Sprintf("no %s from %s %s", do.Event.Name, given, limit))
		if do.Continue {
			late(f)
			return
		}
		done(f.result(), nil)
	}
	w.timer = m.sleep(end, w)
}

func (w *waiting) fired() {
	w.over()
	w.late()
}

func (w *waiting) stop(stopKind) {
	w.over()
	w.done(result{end: stopped}, nil)
}

// limit gives when a wait_for is given up; the zero time is never.
func (m *Machine) limit(s *plan.Step, do *plan.WaitFor, e *env) (time.Time, *failure) {
	switch {
	case do.Timeout != nil:
		d, f := m.duration(do.Timeout, e, s.Place)
		return m.now.Add(d), f
	case do.Until != nil:
		return m.timestamp(do.Until, e, s.Place)
	}
	return time.Time{}, nil
}

func (w *waiting) over() {
	delete(w.m.awaits, w.id)
	w.m.drop(w.timer)
	w.hook.drop()
}

// arrived is called with each event that may be the one.
func (w *waiting) arrived(a Arrived) {
	m := w.m
	if a.ID != "" && m.consumed[a.ID] {
		return
	}
	data := canonical(w.do.Event.Type, a.Data)
	if w.do.When != nil {
		yes, f := m.holds(w.do.When, w.env.bind("event", data), w.step.Place)
		if f != nil {
			w.report.Note = "an event did not match: " + f.err.Message
		}
		if !yes {
			return
		}
	}
	if a.ID != "" {
		put(&m.consumed, a.ID, true)
	}
	w.over()
	w.done(result{}, data)
}

// Consumed tells whether a wait of the run consumed the event of that id.
func (m *Machine) Consumed(eventID string) bool { return m.consumed[eventID] }
