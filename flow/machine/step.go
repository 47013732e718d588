package machine

import (
	"facteur/flow/call"
	"facteur/flow/plan"
)

// step runs one step and records what became of it.
func (m *Machine) step(s *plan.Step, e *env, done func(result)) {
	report := m.began(s, e)
	if s.If == nil {
		m.perform(s, e, report, done)
		return
	}
	m.decide(s, e, report, done)
}

// decide runs a step if its condition holds.
func (m *Machine) decide(s *plan.Step, e *env, report *Step, done func(result)) {
	yes, f := m.holds(s.If, e, s.Place)
	switch {
	case f != nil:
		m.finish(s, e, report, f.result().at(func() { m.decide(s, e, report, done) }), nil, done)
	case yes:
		m.took(s, e, ifYes, 0)
		m.perform(s, e, report, done)
	default:
		m.took(s, e, ifNot, 0)
		m.end(report, Skipped)
		done(result{})
	}
}

// perform does what a step does.
func (m *Machine) perform(s *plan.Step, e *env, report *Step, k func(result)) {
	report.ran = true
	done := func(r result, outputs map[string]any) {
		if (r.end == failed || r.end == stopped) && r.again == nil { // nothing inside it did
			r = r.at(func() {
				if s.Kind != "action" { // its calls are counted
					report.Attempts++
				}
				m.perform(s, e, report, k)
			})
		}
		m.finish(s, e, report, r, outputs, k)
	}
	switch do := s.Do.(type) {
	case *plan.Action:
		m.action(s, do, e, report, done)
	case *plan.Set:
		m.set(s, do, e, done)
	case *plan.Switch:
		m.switches(s, do, e, done)
	case *plan.Foreach:
		m.foreach(s, do, e, report, done)
	case *plan.Parallel:
		m.parallel(do, e, done)
	case *plan.Try:
		m.try(s, do, e, done)
	case *plan.Wait:
		m.wait(s, do, e, report, done)
	case *plan.WaitFor:
		m.waitFor(s, do, e, report, done, func(f *failure) {
			m.finish(s, e, report, f.result(), nil, func(result) {
				m.took(s, e, onTimeout, 0)
				m.block(do.OnTimeout, e, func(r result) { k(allowed(s, r)) })
			})
		})
	case *plan.CallFlow:
		m.callFlow(s, do, e, report, done)
	case *plan.Return:
		values, f := m.values(do.Values, e, s.Place)
		if f != nil {
			done(f.result(), nil)
			return
		}
		done(result{end: returned, values: values}, nil)
	case *plan.Fail:
		done(m.fail(s, do, e).result(), nil)
	default:
		done(result{}, nil)
	}
}

// finish records the end of a step, for expressions and for people.
func (m *Machine) finish(s *plan.Step, e *env, report *Step, r result, outputs map[string]any, done func(result)) {
	if report.Attempts == 0 && s.Kind != "action" {
		report.Attempts = 1
	}
	if outputs == nil {
		outputs = always(s.Do)
	}
	report.Outputs = outputs
	if s.Sensitive && len(outputs) > 0 {
		m.sensitive = append(m.sensitive, outputs)
	}
	status := any("succeeded") // as expressions see it
	var failure map[string]any
	switch r.end {
	case completed, returned:
		m.end(report, Succeeded)
	case failed:
		status = "failed"
		r.failure.at(s, report.Path)
		report.Error = r.failure.err
		failure = r.failure.value()
		m.end(report, Failed)
	case stopped:
		status = "failed"
		if report.Error == nil {
			report.Error = stoppedError
		}
		failure = report.Error.Value(s.ID)
		m.end(report, Cancelled)
	}
	if s.ID != "" {
		state := map[string]any{"status": status, "outputs": outputs, "attempts": int64(report.Attempts)}
		if failure != nil {
			state["error"] = failure
		}
		e.steps[s.ID] = state
	}
	if r.again != nil {
		r.again = &again{open: func() { m.reopen(s, e, report) }, inner: []*again{r.again}}
	}
	done(allowed(s, r))
}

// allowed is how a step's end counts for the steps around it.
func allowed(s *plan.Step, r result) result {
	if r.end == failed && s.AllowFailure {
		return result{}
	}
	return r
}

var stoppedError = &call.Error{Code: "cancelled", Class: "flow", Message: "it was stopped before its end"}

// always gives the outputs that a step has whatever happened.
func always(do plan.Construct) map[string]any {
	switch do := do.(type) {
	case *plan.Action:
		return withAlways(do.Signature.Out, nil)
	case *plan.WaitFor:
		return withAlways(do.Event.Type, nil)
	case *plan.Foreach:
		return map[string]any{"items": []any{}}
	}
	return map[string]any{}
}

func (m *Machine) set(s *plan.Step, do *plan.Set, e *env, done func(result, map[string]any)) {
	for _, v := range do.Values {
		x, f := m.eval(v.Value, e, s.Place)
		if f != nil {
			done(f.result(), nil)
			return
		}
		e.vars[v.Name] = x
		if s.Sensitive {
			m.sensitive = append(m.sensitive, x)
		}
	}
	done(result{}, nil)
}

func (m *Machine) switches(s *plan.Step, do *plan.Switch, e *env, done func(result, map[string]any)) {
	k := func(r result) { done(r, nil) }
	i, f := m.choose(do.Cases, e, s.Place)
	switch {
	case f != nil:
		k(f.result())
	case i < 0:
		m.took(s, e, byDefault, 0)
		m.block(do.Default, e, k)
	default:
		m.took(s, e, caseAt, i)
		m.block(do.Cases[i].Steps, e, k)
	}
}

// choose returns the first case that holds, -1 when none does.
func (m *Machine) choose(cases []plan.Case, e *env, place string) (int, *failure) {
	for i, c := range cases {
		if c.When == nil {
			return i, nil
		}
		if yes, f := m.holds(c.When, e, place); yes || f != nil {
			return i, f
		}
	}
	return -1, nil
}

func (m *Machine) callFlow(s *plan.Step, do *plan.CallFlow, e *env, report *Step, done func(result, map[string]any)) {
	x, f := m.typed(do.With, do.Plan.Inputs, e, s.Place)
	if f != nil {
		done(f.result(), nil)
		return
	}
	inputs, _ := x.(map[string]any)
	m.flow(do.Plan, inputs, e.group, report.Path+"/", e.last, func(r result, outputs map[string]any) {
		switch r.end {
		case returned: // it ended the called flow alone
			r = result{}
		case failed: // its steps have no name here: the one that failed is this one
			r.failure = &failure{err: r.failure.err, path: r.failure.path}
		}
		done(r, outputs)
	})
}

func (m *Machine) fail(s *plan.Step, do *plan.Fail, e *env) *failure {
	code, f := m.text(do.Code, e, s.Place)
	if f != nil {
		return f
	}
	message, f := m.text(do.Message, e, s.Place)
	if f != nil {
		return f
	}
	if code == "" {
		code = "failed"
	}
	if message == "" {
		message = "the flow failed with the code " + code
	}
	return flowError(code, message)
}
