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
	failure *failure       // if failed
	values  map[string]any // if returned
	retry   *retryPoint    // if failed or stopped: where a retry resumes
}

// retryWith returns the result with a retry that calls do.
func (r result) retryWith(do func()) result {
	r.retry = &retryPoint{do: do}
	return r
}

// A flowRun executes a flow: the run's own, or one that it calls.
type flowRun struct {
	m              *Machine
	plan           *plan.Plan
	env            env
	group          group
	parent         *group
	timeoutFailure *failure // nil unless it timed out
	timer          int      // of the time-out
	done           func(result, map[string]any)
}

// runFlow runs a plan's steps, handles its failure, and evaluates its outputs.
func (m *Machine) runFlow(p *plan.Plan, inputs map[string]any, parent *group, path string, cleanup bool, done func(result, map[string]any)) {
	m.noteSensitive(p.Inputs, inputs)
	f := inlineOrNew(&m.inline.flow, m.inline.flow.m == nil)
	*f = flowRun{m: m, plan: p, parent: parent, done: done}
	f.env = m.newEnv(p, inputs, path, cleanup)
	f.env.group = &f.group
	f.group.join(parent)
	f.startTimeout()
	m.runBlock(p.Steps, &f.env, f.onStepsEnd)
}

func (f *flowRun) startTimeout() {
	if d := f.plan.Timeout; d != 0 {
		f.timer = f.m.startTimer(f.m.now.Add(d), f)
	}
}

// fired stops the flow at its time-out.
func (f *flowRun) fired() {
	f.timeoutFailure = flowError("timeout", fmt.Sprintf("%s did not end within %s", f.plan.Name, schema.FormatDuration(f.plan.Timeout)))
	f.group.stop(timedOut)
}

func (f *flowRun) onStepsEnd(steps result) {
	m := f.m
	m.stopTimer(f.timer)
	f.group.leave()
	r := steps
	switch {
	case f.parent.stopped >= cancelling: // whatever the outcome of its last calls
		r = result{end: stopped}
	case f.timeoutFailure != nil:
		r = f.timeoutFailure.result()
	case steps.end == completed:
		outputs, failure := m.values(f.plan.Outputs, &f.env, "outputs")
		if failure == nil {
			f.done(r, outputs)
			return
		}
		failure.err.Message = "output " + failure.err.Message
		r = failure.result()
	case steps.end == returned:
		f.done(r, m.partialOutputs(f.plan, &f.env, r.values))
		return
	}
	r.retry = &retryPoint{reopen: f.reopen}
	if steps.retry != nil {
		r.retry.inner = []*retryPoint{steps.retry}
	} else { // no step failed, but an output or the time-out did
		r.retry.do = func() { f.onStepsEnd(steps) }
	}
	if r.end != failed || len(f.plan.OnFailure) == 0 {
		f.done(r, m.partialOutputs(f.plan, &f.env, nil))
		return
	}
	f.onFailure(r)
}

// reopen prepares the flow to go on after a retry.
func (f *flowRun) reopen() {
	f.group.join(f.parent)
	f.timeoutFailure = nil
	f.startTimeout()
}

// onFailure runs the on_failure steps of a flow that failed. They have a group of their
// own, as that of the flow's steps was stopped, and variables of their own, as a retry must
// not see what they wrote.
func (f *flowRun) onFailure(r result) {
	m := f.m
	g := f.parent.child()
	inner := f.env.iteration(g, "error", r.failure.value())
	inner.cleanup = true
	m.runBlock(f.plan.OnFailure, inner, func(own result) {
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
		f.done(r, m.partialOutputs(f.plan, inner, nil))
	})
}

// partialOutputs returns the values of a return step, and the other outputs as far as they
// can be evaluated.
func (m *Machine) partialOutputs(p *plan.Plan, e *env, values map[string]any) map[string]any {
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

// A block is a list of steps that run in order.
type block struct {
	m         *Machine
	steps     []*plan.Step
	env       *env
	done      func(result)
	afterStep func(result) // onStepEnd, bound once
}

func (m *Machine) newBlock(steps []*plan.Step, e *env, done func(result)) *block {
	l := inlineOrNew(&m.inline.block, m.inline.block.m == nil)
	*l = block{m: m, steps: steps, env: e, done: done}
	l.afterStep = l.onStepEnd
	return l
}

func (m *Machine) runBlock(steps []*plan.Step, e *env, done func(result)) {
	m.newBlock(steps, e, done).run()
}

// run starts the next step.
func (l *block) run() {
	switch {
	case l.env.group.stopped != notStopped:
		l.done(result{end: stopped}.retryWith(l.run))
	case len(l.steps) == 0:
		l.done(result{})
	default:
		s := l.steps[0]
		l.steps = l.steps[1:]
		l.m.runStep(s, l.env, l.afterStep)
	}
}

func (l *block) onStepEnd(r result) {
	if r.end != completed {
		l.done(r)
		return
	}
	l.m.later(l)
}
