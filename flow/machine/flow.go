package machine

import (
	"fmt"
	"maps"

	"facteur/flow/call"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// how a list of steps ended.
type end uint8

const (
	completed end = iota
	failed
	returned // a return step: the flow ends here
	stopped  // its group was stopped
)

type result struct {
	end     end
	failure *failure       // of failed
	values  map[string]any // of returned
}

// flow runs a plan's steps, handles its failure, and evaluates its outputs.
func (m *Machine) flow(p *plan.Plan, inputs map[string]any, parent *group, path string, k func(result, map[string]any)) {
	m.hideInputs(p.Inputs, inputs)
	g := parent.child()
	e := m.newEnv(p, inputs, g, path)
	var late *failure
	timeout := 0
	if p.Timeout > 0 {
		timeout = m.sleep(m.now.Add(p.Timeout), func() {
			late = flowError("timeout", fmt.Sprintf("%s did not end within %s", p.Name, schema.FormatDuration(p.Timeout)))
			g.stop(cancelling)
		})
	}
	m.block(p.Steps, e, func(r result) {
		m.drop(timeout)
		g.leave()
		switch {
		case parent.stopped == cancelling: // whatever its last calls came to
			r = result{end: stopped}
		case late != nil:
			r = late.result()
		case r.end == completed:
			outputs, f := m.values(p.Outputs, e, "outputs")
			if f == nil {
				k(r, outputs)
				return
			}
			f.err.Message = "output " + f.err.Message
			r = f.result()
		}
		if r.end != failed || len(p.OnFailure) == 0 {
			k(r, m.outputsLeft(p, e, r.values))
			return
		}
		m.onFailure(p, e, parent, r, k)
	})
}

// onFailure runs the steps of a flow that failed: outside the group of those that did.
func (m *Machine) onFailure(p *plan.Plan, e *env, parent *group, r result, k func(result, map[string]any)) {
	g := parent.child()
	last := e.in(g).bind("error", r.failure.value())
	m.block(p.OnFailure, last, func(own result) {
		g.leave()
		if own.end == failed {
			err := *r.failure.err
			if err.Details = maps.Clone(err.Details); err.Details == nil {
				err.Details = map[string]any{}
			}
			err.Details["on_failure"] = own.failure.err.Message
			first := *r.failure
			first.err = &err
			r = first.result()
		}
		k(r, m.outputsLeft(p, last, nil))
	})
}

// outputsLeft gives the returned values, and those of the other outputs that can be
// evaluated.
func (m *Machine) outputsLeft(p *plan.Plan, e *env, values map[string]any) map[string]any {
	out := make(map[string]any, len(p.Outputs))
	for _, o := range p.Outputs {
		if x, ok := values[o.Name]; ok {
			out[o.Name] = x
		} else if x, err := o.Value.Eval(m.exprVars(e, "outputs")); err == nil {
			if _, none := x.(expr.Absent); !none {
				out[o.Name] = x
			}
		}
	}
	return out
}

// block runs steps in order.
func (m *Machine) block(steps []*plan.Step, e *env, k func(result)) {
	i := 0
	var next func()
	after := func(r result) {
		if r.end != completed {
			k(r)
			return
		}
		m.later(next)
	}
	next = func() {
		switch {
		case e.group.stopped != going:
			k(result{end: stopped})
		case i == len(steps):
			k(result{})
		default:
			i++
			m.step(steps[i-1], e, after)
		}
	}
	next()
}

// step runs one step and records what became of it.
func (m *Machine) step(s *plan.Step, e *env, k func(result)) {
	report := m.began(s, e)
	if s.If != nil {
		yes, f := m.holds(s.If, e, s.Place)
		if f != nil {
			m.finish(s, e, report, f.result(), nil, k)
			return
		}
		if !yes {
			m.took(s, e, plan.IfNotWay)
			m.end(report, Skipped)
			k(result{})
			return
		}
		m.took(s, e, plan.IfWay)
	}
	m.took(s, e, "")
	done := func(r result, outputs map[string]any) { m.finish(s, e, report, r, outputs, k) }
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
		m.wait(s, do, e, done)
	case *plan.WaitFor:
		m.waitFor(s, do, e, report, done, func(f *failure) {
			m.finish(s, e, report, f.result(), nil, func(result) {
				m.took(s, e, plan.TimeoutWay)
				m.block(do.OnTimeout, e, func(r result) { k(allowed(s, r)) })
			})
		})
	case *plan.CallFlow:
		m.call(s, do, e, report, done)
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
func (m *Machine) finish(s *plan.Step, e *env, report *Step, r result, outputs map[string]any, k func(result)) {
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
	status := Succeeded // as expressions see it
	var failure map[string]any
	switch r.end {
	case completed, returned:
		m.end(report, Succeeded)
	case failed:
		status = Failed
		r.failure.at(s, report.Path)
		report.Error = r.failure.err
		failure = r.failure.value()
		m.end(report, Failed)
	case stopped:
		status = Failed
		if report.Error == nil {
			report.Error = stoppedError
		}
		failure = report.Error.Value(s.ID)
		m.end(report, Cancelled)
	}
	if s.ID != "" {
		state := map[string]any{"status": string(status), "outputs": outputs, "attempts": int64(report.Attempts)}
		if failure != nil {
			state["error"] = failure
		}
		e.steps[s.ID] = state
	}
	k(allowed(s, r))
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
		m.took(s, e, plan.DefaultWay)
		m.block(do.Default, e, k)
	default:
		m.took(s, e, plan.CaseWay(i))
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

func (m *Machine) try(s *plan.Step, do *plan.Try, e *env, done func(result, map[string]any)) {
	finally := func(r result) {
		if len(do.Finally) == 0 {
			done(r, nil)
			return
		}
		// It runs once, to its end, whatever stopped what was before.
		m.block(do.Finally, e.in(&group{}), func(last result) {
			if last.end == completed {
				last = r
			}
			done(last, nil)
		})
	}
	m.block(do.Steps, e, func(r result) {
		if r.end != failed || e.group.stopped != going {
			finally(r)
			return
		}
		inner := e.bind("error", r.failure.value())
		i, f := m.choose(do.Catch, inner, s.Place)
		switch {
		case f != nil:
			finally(f.result())
		case i < 0:
			finally(r)
		default:
			m.took(s, e, plan.CatchWay(i))
			m.block(do.Catch[i].Steps, inner, finally)
		}
	})
}

func (m *Machine) call(s *plan.Step, do *plan.CallFlow, e *env, report *Step, done func(result, map[string]any)) {
	x, f := m.typed(do.With, do.Plan.Inputs, e, s.Place)
	if f != nil {
		done(f.result(), nil)
		return
	}
	inputs, _ := x.(map[string]any)
	m.flow(do.Plan, inputs, e.group, report.Path+"/", func(r result, outputs map[string]any) {
		switch r.end {
		case returned: // it ended the called flow alone
			r = result{}
		case failed: // its steps have no name here: the one that failed is this one
			r = (&failure{err: r.failure.err, path: r.failure.path}).result()
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
