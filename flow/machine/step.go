package machine

import (
	"cmp"

	"facteur/flow/call"
	"facteur/flow/plan"
)

// runStep executes one step, and reports it.
func (m *Machine) runStep(s *plan.Step, e *env, done func(result)) {
	report := m.beginStep(s, e)
	if s.If == nil {
		m.perform(s, e, report, done)
		return
	}
	m.runStepIf(s, e, report, done)
}

// runStepIf executes a step if its condition holds.
func (m *Machine) runStepIf(s *plan.Step, e *env, report *Step, done func(result)) {
	yes, f := m.condition(s.If, e, s.Place)
	switch {
	case f != nil:
		m.finishStep(s, e, report, f.result().retryWith(func() { m.runStepIf(s, e, report, done) }), nil, done)
	case yes:
		m.tookBranch(s, e, plan.IfChoice)
		m.perform(s, e, report, done)
	default:
		m.tookBranch(s, e, plan.IfNotChoice)
		m.endStep(report, Skipped)
		done(result{})
	}
}

// perform executes a step whose condition holds; next is called with its result.
func (m *Machine) perform(s *plan.Step, e *env, report *Step, next func(result)) {
	report.ran = true
	done := func(r result, outputs map[string]any) {
		if (r.end == failed || r.end == stopped) && r.retry == nil { // the step itself did, not one inside it
			r = r.retryWith(func() {
				if s.Kind != "action" { // an action's calls are counted
					report.Attempts++
				}
				m.perform(s, e, report, next)
			})
		}
		m.finishStep(s, e, report, r, outputs, next)
	}
	switch do := s.Do.(type) {
	case *plan.Action:
		m.action(s, do, e, report, done)
	case *plan.Set:
		m.set(s, do, e, done)
	case *plan.Switch:
		m.switchStep(s, do, e, done)
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
			m.finishStep(s, e, report, f.result(), nil, func(result) {
				m.tookBranch(s, e, plan.TimeoutChoice)
				m.runBlock(do.OnTimeout, e, func(r result) { next(allowed(s, r)) })
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

// finishStep records the end of a step, for expressions and in its report.
func (m *Machine) finishStep(s *plan.Step, e *env, report *Step, r result, outputs map[string]any, done func(result)) {
	if report.Attempts == 0 && s.Kind != "action" {
		report.Attempts = 1
	}
	if outputs == nil {
		outputs = alwaysOutputs(s.Do)
	}
	report.Outputs = outputs
	if s.Sensitive && len(outputs) > 0 {
		m.sensitive = append(m.sensitive, outputs)
	}
	status := any("succeeded") // as expressions see it
	var failure map[string]any
	switch r.end {
	case completed, returned:
		m.endStep(report, Succeeded)
	case failed:
		status = "failed"
		r.failure.setStep(s, report.Path)
		report.Error = r.failure.err
		failure = r.failure.value()
		m.endStep(report, Failed)
	case stopped:
		status = "failed"
		if report.Error == nil {
			report.Error = stoppedError
		}
		failure = report.Error.Value(s.ID)
		m.endStep(report, Cancelled)
	}
	if s.ID != "" {
		state := map[string]any{"status": status, "outputs": outputs, "attempts": int64(report.Attempts)}
		if failure != nil {
			state["error"] = failure
		}
		e.steps[s.ID] = state
	}
	if r.retry != nil {
		r.retry = &retryPoint{reopen: func() { m.reopenStep(s, e, report) }, inner: []*retryPoint{r.retry}}
	}
	done(allowed(s, r))
}

// allowed returns a step's result as the steps around it see it: allow_failure hides a
// failure.
func allowed(s *plan.Step, r result) result {
	if r.end == failed && s.AllowFailure {
		return result{}
	}
	return r
}

var stoppedError = &call.Error{Code: "cancelled", Class: "flow", Message: "it was stopped before its end"}

// alwaysOutputs returns the outputs that a step has even if it failed at once.
func alwaysOutputs(do plan.Construct) map[string]any {
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

func (m *Machine) switchStep(s *plan.Step, do *plan.Switch, e *env, done func(result, map[string]any)) {
	onEnd := func(r result) { done(r, nil) }
	i, f := m.choose(do.Cases, e, s.Place)
	switch {
	case f != nil:
		onEnd(f.result())
	case i < 0:
		m.tookBranch(s, e, plan.DefaultChoice)
		m.runBlock(do.Default, e, onEnd)
	default:
		m.tookBranch(s, e, plan.CaseChoice(i))
		m.runBlock(do.Cases[i].Steps, e, onEnd)
	}
}

// choose returns the index of the first case whose condition holds, -1 when none does.
func (m *Machine) choose(cases []plan.Case, e *env, place string) (int, *failure) {
	for i, c := range cases {
		if c.When == nil {
			return i, nil
		}
		if yes, f := m.condition(c.When, e, place); yes || f != nil {
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
	m.runFlow(do.Plan, inputs, e.group, report.Path+"/", e.cleanup, func(r result, outputs map[string]any) {
		switch r.end {
		case returned: // it ended the called flow alone
			r = result{}
		case failed: // expressions here do not see its steps: for them this step failed
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
	code = cmp.Or(code, "failed")
	return flowError(code, cmp.Or(message, "the flow failed with the code "+code))
}
