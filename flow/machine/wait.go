package machine

import (
	"fmt"
	"time"

	"facteur/flow/plan"
	"facteur/flow/schema"
)

func (m *Machine) wait(s *plan.Step, do *plan.Wait, e *env, report *Step, done func(result, map[string]any)) {
	if v := m.visit(e, report); v != nil && v.status == Succeeded {
		done(result{}, nil)
		return
	}
	until, f := m.until(s, do, e)
	if f != nil {
		done(f.result(), nil)
		return
	}
	(&waitRun{m: m, env: e, done: done, until: until}).run()
}

// A waitRun executes a wait step.
type waitRun struct {
	m     *Machine
	env   *env
	done  func(result, map[string]any)
	until time.Time
	timer int
	hook  stopHook
}

// run waits until p.until, which a retry does not move.
func (p *waitRun) run() {
	if !p.until.After(p.m.now) {
		p.done(result{}, nil)
		return
	}
	p.timer = p.m.startTimer(p.until, p)
	p.env.group.add(p, &p.hook)
}

func (p *waitRun) fired() {
	p.hook.drop()
	p.done(result{}, nil)
}

func (p *waitRun) stop(stopKind) {
	p.m.stopTimer(p.timer)
	p.hook.drop()
	p.done(result{end: stopped}.retryWith(p.run), nil)
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

// A waitForRun executes a wait_for step.
type waitForRun struct {
	m         *Machine
	step      *plan.Step
	do        *plan.WaitFor
	env       *env
	report    *Step
	done      func(result, map[string]any)
	id        int
	timer     int
	hook      stopHook
	onTimeout func()
}

// waitFor waits for an event; one that came since the run's latest call to the subject
// counts too. After a time-out with `on_timeout: continue` or steps it calls onTimeout, not
// done.
func (m *Machine) waitFor(s *plan.Step, do *plan.WaitFor, e *env, report *Step, done func(result, map[string]any), onTimeout func(*failure)) {
	if v := m.visit(e, report); v != nil && v.status == Succeeded {
		done(result{}, v.outputs)
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
	m.lastAwait++
	w := &waitForRun{m: m, step: s, do: do, env: e, report: report, done: done, id: m.lastAwait}
	put(&m.awaits, w.id, w)
	m.commands = append(m.commands, Await{ID: w.id, Event: do.Event.Name, Subject: subject, Connection: do.Connection, Since: since})
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
	w.onTimeout = func() {
		f := flowError("timeout", fmt.Sprintf("no %s from %s %s", do.Event.Name, given, limit))
		if do.Continue {
			onTimeout(f)
			return
		}
		done(f.result(), nil)
	}
	w.timer = m.startTimer(end, w)
}

func (w *waitForRun) fired() {
	w.release()
	w.onTimeout()
}

func (w *waitForRun) stop(stopKind) {
	w.release()
	w.done(result{end: stopped}, nil)
}

// limit returns when a wait_for times out; the zero time is never.
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

func (w *waitForRun) release() {
	delete(w.m.awaits, w.id)
	w.m.stopTimer(w.timer)
	w.hook.drop()
}

// onEvent handles an event that may match.
func (w *waitForRun) onEvent(a Arrived) {
	m := w.m
	if a.ID != "" && m.consumed[a.ID] {
		return
	}
	data := canonical(w.do.Event.Type, a.Data)
	if w.do.When != nil {
		yes, f := m.condition(w.do.When, w.env.bind("event", data), w.step.Place)
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
	w.release()
	w.done(result{}, data)
}

// Consumed reports whether a wait_for of the run consumed the event of that id.
func (m *Machine) Consumed(eventID string) bool { return m.consumed[eventID] }
