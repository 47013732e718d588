package machine

import (
	"fmt"

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

func (f *failure) result() result { return result{end: failed, failure: f} }

// flow runs a plan's steps, handles its failure, and evaluates its outputs.
func (m *Machine) flow(p *plan.Plan, inputs map[string]any, parent *group, path string, k func(result, map[string]any)) {
	m.hideInputs(p.Inputs, inputs)
	g := parent.child()
	e := m.newEnv(p, inputs, g, path)
	var late *failure
	drop := func() {}
	if p.Timeout > 0 {
		drop = m.sleep(m.now.Add(p.Timeout), func() {
			late = &failure{err: &call.Error{
				Code: "timeout", Class: "flow",
				Message: fmt.Sprintf("%s did not end within %s", p.Name, schema.FormatDuration(p.Timeout)),
			}}
			g.stop(cancelling)
		})
	}
	m.block(p.Steps, e, func(r result) {
		drop()
		parent.leave(g)
		if r.end == stopped && late != nil && parent.stopped == going {
			r = late.result()
		}
		var outputs map[string]any
		if r.end == completed {
			var f *failure
			if outputs, f = m.outputs(p, e); f != nil {
				r = f.result()
			}
		}
		if r.end != failed || len(p.OnFailure) == 0 {
			if r.end != completed {
				outputs = m.outputsLeft(p, e, r.values)
			}
			k(r, outputs)
			return
		}
		// What a failed run still does is not stopped by what failed it.
		last := e.in(&group{}).bind("error", r.failure.err.Value(r.failure.step))
		m.block(p.OnFailure, last, func(r2 result) {
			if r2.end == failed {
				r.failure.err.Details = with(r.failure.err.Details, "on_failure", r2.failure.err.Message)
			}
			k(r, m.outputsLeft(p, last, nil))
		})
	})
}

func with(details map[string]any, key string, v any) map[string]any {
	out := map[string]any{key: v}
	for k, x := range details {
		out[k] = x
	}
	return out
}

// outputs evaluates every output of a flow that succeeded.
func (m *Machine) outputs(p *plan.Plan, e *env) (map[string]any, *failure) {
	out := make(map[string]any, len(p.Outputs))
	vars := m.exprVars(e, "outputs")
	for _, o := range p.Outputs {
		x, err := o.Value.Eval(vars)
		if err != nil {
			f := expressionFailure(e.path+"outputs."+o.Name, err)
			f.err.Message = "output " + o.Name + ": " + f.err.Message
			return nil, f
		}
		if _, none := x.(expr.Absent); !none {
			out[o.Name] = x
		}
	}
	return out, nil
}

// outputsLeft gives the returned values, and those of the other outputs that can be
// evaluated.
func (m *Machine) outputsLeft(p *plan.Plan, e *env, values map[string]any) map[string]any {
	out := make(map[string]any, len(p.Outputs))
	vars := m.exprVars(e, "outputs")
	for _, o := range p.Outputs {
		if x, ok := values[o.Name]; ok {
			out[o.Name] = x
		} else if x, err := o.Value.Eval(vars); err == nil {
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
	next = func() {
		switch {
		case e.group.stopped != going:
			k(result{end: stopped})
		case i == len(steps):
			k(result{})
		default:
			s := steps[i]
			i++
			m.step(s, e, func(r result) {
				if r.end != completed {
					k(r)
					return
				}
				m.later(next)
			})
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
		m.foreach(s, do, e, done)
	case *plan.Parallel:
		m.parallel(s, do, e, done)
	case *plan.Try:
		m.try(s, do, e, done)
	case *plan.Wait:
		m.wait(s, do, e, done)
	case *plan.WaitFor:
		m.waitFor(s, do, e, report, done, func(r result) {
			m.finish(s, e, report, r, nil, func(result) {
				m.took(s, e, plan.TimeoutWay)
				m.block(do.OnTimeout, e, k)
			})
		})
	case *plan.CallFlow:
		m.call(s, do, e, done)
	case *plan.Return:
		m.ret(s, do, e, done)
	case *plan.Fail:
		m.fail(s, do, e, done)
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
		outputs = map[string]any{}
	}
	report.Outputs = outputs
	if s.Sensitive && len(outputs) > 0 {
		m.sensitive = append(m.sensitive, outputs)
	}
	state := map[string]any{"outputs": outputs, "attempts": int64(report.Attempts)}
	switch r.end {
	case completed, returned:
		state["status"] = string(Succeeded)
		m.end(report, Succeeded)
	case failed:
		state["status"] = string(Failed)
		state["error"] = r.failure.err.Value(r.failure.step)
		report.Error = r.failure.err
		m.end(report, Failed)
	case stopped:
		state["status"] = string(Failed)
		state["error"] = cancelledError.Value(report.Path)
		m.end(report, Cancelled)
	}
	if s.ID != "" {
		e.steps[s.ID] = state
	}
	if r.end == failed && s.AllowFailure {
		r = result{}
	}
	k(r)
}

var cancelledError = &call.Error{Code: "cancelled", Class: "flow", Message: "the run was cancelled"}

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
	for i, c := range do.Cases {
		yes := true
		if c.When != nil {
			var f *failure
			if yes, f = m.holds(c.When, e, s.Place); f != nil {
				done(f.result(), nil)
				return
			}
		}
		if yes {
			m.took(s, e, plan.CaseWay(i))
			m.block(c.Steps, e, k)
			return
		}
	}
	m.took(s, e, plan.DefaultWay)
	m.block(do.Default, e, k)
}

func (m *Machine) try(s *plan.Step, do *plan.Try, e *env, done func(result, map[string]any)) {
	finally := func(r result) {
		if len(do.Finally) == 0 {
			done(r, nil)
			return
		}
		// It runs once, whatever stopped what was before.
		m.block(do.Finally, e.in(&group{}), func(last result) {
			if last.end == completed {
				last = r
			}
			done(last, nil)
		})
	}
	m.block(do.Steps, e, func(r result) {
		if r.end != failed {
			finally(r)
			return
		}
		inner := e.bind("error", r.failure.err.Value(r.failure.step))
		for i, c := range do.Catch {
			yes := true
			if c.When != nil {
				var f *failure
				if yes, f = m.holds(c.When, inner, s.Place); f != nil {
					finally(f.result())
					return
				}
			}
			if yes {
				m.took(s, e, plan.CatchWay(i))
				m.block(c.Steps, inner, finally)
				return
			}
		}
		finally(r)
	})
}

func (m *Machine) call(s *plan.Step, do *plan.CallFlow, e *env, done func(result, map[string]any)) {
	x, f := m.eval(do.With, e, s.Place)
	if f != nil {
		done(f.result(), nil)
		return
	}
	coerced, found := do.Plan.Inputs.Coerce(x)
	if err := found.Err(); err != nil {
		f := &failure{step: e.path + s.Place, err: &call.Error{Code: "invalid_input", Class: "flow", Message: err.Error()}}
		done(f.result(), nil)
		return
	}
	inputs, _ := coerced.(map[string]any)
	m.flow(do.Plan, inputs, e.group, e.path+s.Place+"/", func(r result, outputs map[string]any) {
		if r.end == returned {
			r = result{} // it ended the called flow alone
		}
		done(r, outputs)
	})
}

func (m *Machine) ret(s *plan.Step, do *plan.Return, e *env, done func(result, map[string]any)) {
	values := make(map[string]any, len(do.Values))
	for _, v := range do.Values {
		x, err := v.Value.Eval(m.exprVars(e, s.Place))
		if err != nil {
			done(expressionFailure(e.path+s.Place, err).result(), nil)
			return
		}
		if _, none := x.(expr.Absent); !none {
			values[v.Name] = x
		}
	}
	done(result{end: returned, values: values}, nil)
}

func (m *Machine) fail(s *plan.Step, do *plan.Fail, e *env, done func(result, map[string]any)) {
	code, f := m.text(do.Code, e, s.Place)
	if f == nil {
		var message string
		if message, f = m.text(do.Message, e, s.Place); f == nil {
			if code == "" {
				code = "failed"
			}
			if message == "" {
				message = "the flow failed with the code " + code
			}
			f = &failure{step: e.path + s.Place, err: &call.Error{Code: code, Class: "flow", Message: message}}
		}
	}
	done(f.result(), nil)
}
