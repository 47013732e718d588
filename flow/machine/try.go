package machine

import (
	"maps"

	"facteur/flow/plan"
)

// A tryRun executes a try step.
type tryRun struct {
	m    *Machine
	step *plan.Step
	do   *plan.Try
	env  *env
	done func(result, map[string]any)
}

func (m *Machine) try(s *plan.Step, do *plan.Try, e *env, done func(result, map[string]any)) {
	t := &tryRun{m, s, do, e, done}
	m.runBlock(do.Steps, e, t.onStepsEnd)
}

func (t *tryRun) onStepsEnd(r result) {
	if r.end != failed || t.env.group.stopped != notStopped {
		t.finally(r)
		return
	}
	inner := t.env.bind("error", r.failure.value())
	i, f := t.m.choose(t.do.Catch, inner, t.step.Place)
	switch {
	case f != nil:
		t.finally(f.result().retryWith(func() { t.onStepsEnd(r) }))
	case i < 0:
		t.finally(r)
	default:
		t.m.tookBranch(t.step, t.env, plan.CatchChoice(i))
		t.m.runBlock(t.do.Catch[i].Steps, inner, t.finally)
	}
}

// finally runs the finally steps once, to their end, whatever stopped those before.
func (t *tryRun) finally(r result) {
	if len(t.do.Finally) == 0 {
		t.done(r, nil)
		return
	}
	inner := t.env.in(&group{})
	inner.cleanup = true
	if r.retry != nil { // a retry resumes before finally, and must not see what that wrote
		vars, before := maps.Clone(t.env.vars), r.retry
		r.retry = &retryPoint{inner: []*retryPoint{before}, reopen: func() {
			clear(t.env.vars)
			maps.Copy(t.env.vars, vars)
			t.m.resetSteps(t.do.Finally, t.env)
		}}
	}
	t.m.runBlock(t.do.Finally, inner, func(own result) {
		switch {
		case own.end == completed:
			own = r
		case own.end != returned && r.retry != nil:
			own.retry = r.retry
		}
		t.done(own, nil)
	})
}

// resetSteps makes expressions see steps as if they had not run.
func (m *Machine) resetSteps(steps []*plan.Step, e *env) {
	for _, s := range steps {
		if s.ID != "" {
			e.steps[s.ID] = e.plan.InitialSteps[s.ID]
		}
		for _, inner := range s.Blocks() {
			m.resetSteps(inner, e)
		}
	}
}
