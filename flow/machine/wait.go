package machine

import (
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

func (m *Machine) wait(s *plan.Step, do *plan.Wait, e *env, done func(result, map[string]any)) {
	var until time.Time
	if do.For != nil {
		d, f := m.duration(do.For, e, s.Place)
		if f != nil {
			done(f.result(), nil)
			return
		}
		until = m.now.Add(d)
	} else {
		x, f := m.typed(do.Until, schema.TimestampType, e, s.Place)
		if f != nil {
			done(f.result(), nil)
			return
		}
		until, _ = x.(time.Time)
	}
	if !until.After(m.now) {
		done(result{}, nil)
		return
	}
	var drop, leave func()
	drop = m.sleep(until, func() {
		leave()
		done(result{}, nil)
	})
	leave = e.group.onStop(func(stopKind) {
		drop()
		done(result{end: stopped}, nil)
	})
}

func (m *Machine) duration(v *plan.Value, e *env, place string) (time.Duration, *failure) {
	x, f := m.typed(v, schema.DurationType, e, place)
	if f != nil {
		return 0, f
	}
	d, _ := x.(time.Duration)
	return d, nil
}

// typed evaluates a value and brings it to a type.
func (m *Machine) typed(v *plan.Value, t *schema.Type, e *env, place string) (any, *failure) {
	x, f := m.eval(v, e, place)
	if f != nil {
		return nil, f
	}
	coerced, found := t.Coerce(x)
	if err := found.Err(); err != nil {
		return nil, &failure{step: e.path + place, err: &call.Error{Code: "invalid_input", Class: "flow", Message: err.Error()}}
	}
	return coerced, nil
}

// waitFor waits for an event; one that came since the run last wrote to the subject
// counts too. After a time-out that the flow goes on from, it calls late, not done.
func (m *Machine) waitFor(s *plan.Step, do *plan.WaitFor, e *env, report *Step, done func(result, map[string]any), late func(result)) {
	raw, f := m.text(do.Subject, e, s.Place)
	if f != nil {
		done(f.result(), nil)
		return
	}
	subject := raw
	if do.Event.Subject != nil {
		var err error
		if subject, err = do.Event.Subject(raw); err != nil {
			f := &failure{step: e.path + s.Place, err: &call.Error{Code: "invalid_input", Class: "flow", Message: err.Error()}}
			done(f.result(), nil)
			return
		}
	}
	var timeout time.Duration
	if do.Timeout != nil {
		if timeout, f = m.duration(do.Timeout, e, s.Place); f != nil {
			done(f.result(), nil)
			return
		}
	}
	since := m.start.At
	if at, ok := m.lastCall[subject]; ok && do.Event.SinceCall {
		since = at
	}
	m.nextAwait++
	id := m.nextAwait
	var drop, leave func()
	over := func() {
		delete(m.awaits, id)
		if drop != nil {
			drop()
		}
		leave()
	}
	m.awaits[id] = func(a Arrived) {
		data := a.Data
		if coerced, found := do.Event.Type.Coerce(data); found.Err() == nil {
			data, _ = coerced.(map[string]any)
		}
		if do.When != nil {
			yes, f := m.holds(do.When, e.bind("event", data), s.Place)
			if f != nil {
				report.Note = "an event did not match: " + f.err.Message
			}
			if !yes {
				return
			}
		}
		m.consumed[a.ID] = true
		over()
		done(result{}, data)
	}
	m.out = append(m.out, Await{ID: id, Event: do.Event.Name, Subject: subject, Connection: do.Connection, Since: since})
	leave = e.group.onStop(func(stopKind) {
		over()
		done(result{end: stopped}, nil)
	})
	if do.Timeout == nil {
		return
	}
	drop = m.sleep(m.now.Add(timeout), func() {
		over()
		f := &failure{step: e.path + s.Place, err: &call.Error{
			Code: "timeout", Class: "flow",
			Message: fmt.Sprintf("no %s from %s within %s", do.Event.Name, raw, schema.FormatDuration(timeout)),
		}}
		if do.Continue {
			late(f.result())
			return
		}
		done(f.result(), nil)
	})
}
