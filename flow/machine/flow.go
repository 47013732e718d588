package machine

import (
	"fmt"
	"maps"

	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An end is how a list of steps ended.
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
	again   *again         // of failed and stopped: how to go on after a retry
}

// at gives the result, from which a retry goes on by doing that.
func (r result) at(do func()) result {
	r.again = &again{do: do}
	return r
}

// A flowing is a flow that runs: the run's own, or one that it calls.
type flowing struct {
	m       *Machine
	plan    *plan.Plan
	env     env
	group   group
	parent  *group
	late    *failure // its time was over
	timeout int
	done    func(result, map[string]any)
}

// flow runs a plan's steps, handles its failure, and evaluates its outputs.
func (m *Machine) flow(p *plan.Plan, inputs map[string]any, parent *group, path string, last bool, done func(result, map[string]any)) {
	m.hideInputs(p.Inputs, inputs)
	f := first(&m.room.flow, m.room.flow.m == nil)
	*f = flowing{m: m, plan: p, parent: parent, done: done}
	f.env = m.newEnv(p, inputs, path, last)
	f.env.group = &f.group
	f.group.join(parent)
	f.limit()
	m.block(p.Steps, &f.env, f.ended)
}

// limit sets the flow's time-out.
func (f *flowing) limit() {
	m, p := f.m, f.plan
	if p.Timeout == 0 {
		return
	}
	f.timeout = m.sleep(m.now.Add(p.Timeout), f)
}

// fired ends the flow: its time is over.
func (f *flowing) fired() {
	f.late = flowError("timeout", fmt.Sprintf("%s did not end within %s", f.plan.Name, schema.FormatDuration(f.plan.Timeout)))
	f.group.stop(expired)
}

// ended goes on when the flow's steps have ended.
func (f *flowing) ended(steps result) {
	m := f.m
	m.drop(f.timeout)
	f.group.leave()
	r := steps
	switch {
	case f.parent.stopped >= cancelling: // whatever its last calls came to
		r = result{end: stopped}
	case f.late != nil:
		r = f.late.result()
	case steps.end == completed:
		outputs, failure := m.values(f.plan.Outputs, &f.env, "outputs")
		if failure == nil {
			f.done(r, outputs)
			return
		}
		failure.err.Message = "output " + failure.err.Message
		r = failure.result()
	case steps.end == returned:
		f.done(r, m.outputsLeft(f.plan, &f.env, r.values))
		return
	}
	r.again = &again{open: f.reopen}
	if steps.again != nil {
		r.again.inner = []*again{steps.again}
	} else { // none of them failed
		r.again.do = func() { f.ended(steps) }
	}
	if r.end != failed || len(f.plan.OnFailure) == 0 {
		f.done(r, m.outputsLeft(f.plan, &f.env, nil))
		return
	}
	f.onFailure(r)
}

// reopen lets the flow go on after a retry.
func (f *flowing) reopen() {
	f.group.join(f.parent)
	f.late = nil
	f.limit()
}

// onFailure runs the steps of a flow that failed: outside the group of those that did,
// and with variables of their own, as a retry must not meet what they wrote.
func (f *flowing) onFailure(r result) {
	m := f.m
	g := f.parent.child()
	last := f.env.iteration(g, "error", r.failure.value())
	last.last = true
	m.block(f.plan.OnFailure, last, func(own result) {
		g.leave()
		if own.end == failed {
			err := *r.failure.err
			if err.Details = maps.Clone(err.Details); err.Details == nil {
				err.Details = map[string]any{}
			}
			err.Details["on_failure"] = own.failure.err.Message
			first := *r.failure
			first.err = &err
			r.failure = &first
		}
		f.done(r, m.outputsLeft(f.plan, last, nil))
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

// A list is steps that run in order.
type list struct {
	m     *Machine
	steps []*plan.Step
	env   *env
	done  func(result)
	after func(result) // of each step
}

func (m *Machine) list(steps []*plan.Step, e *env, done func(result)) *list {
	l := first(&m.room.list, m.room.list.m == nil)
	*l = list{m: m, steps: steps, env: e, done: done}
	l.after = l.ended
	return l
}

// block runs steps in order.
func (m *Machine) block(steps []*plan.Step, e *env, done func(result)) { m.list(steps, e, done).run() }

// run begins the next step.
func (l *list) run() {
	switch {
	case l.env.group.stopped != going:
		l.done(result{end: stopped}.at(l.run))
	case len(l.steps) == 0:
		l.done(result{})
	default:
		s := l.steps[0]
		l.steps = l.steps[1:]
		l.m.step(s, l.env, l.after)
	}
}

func (l *list) ended(r result) {
	if r.end != completed {
		l.done(r)
		return
	}
	l.m.later(l)
}
