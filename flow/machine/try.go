package machine

import (
	"maps"

	"facteur/flow/plan"
)

// A trying is a try that runs.
type trying struct {
	m    *Machine
	step *plan.Step
	do   *plan.Try
	env  *env
	done func(result, map[string]any)
}

func (m *Machine) try(s *plan.Step, do *plan.Try, e *env, done func(result, map[string]any)) {
	t := &trying{m, s, do, e, done}
	m.block(do.Steps, e, t.caught)
}

// caught goes on when the steps have ended.
func (t *trying) caught(r result) {
	if r.end != failed || t.env.group.stopped != going {
		t.finally(r)
		return
	}
	inner := t.env.bind("error", r.failure.value())
	i, f := t.m.choose(t.do.Catch, inner, t.step.Place)
	switch {
	case f != nil:
		t.finally(f.result().at(func() { t.caught(r) }))
	case i < 0:
		t.finally(r)
	default:
		t.m.took(t.step, t.env, catchAt, i)
		t.m.block(t.do.Catch[i].Steps, inner, t.finally)
	}
}

// finally runs once, to its end, whatever stopped what was before.
func (t *trying) finally(r result) {
	if len(t.do.Finally) == 0 {
		t.done(r, nil)
		return
	}
	last := t.env.in(&group{})
	last.last = true
	if r.again != nil { // a retry comes back to what was before, and must not meet what finally wrote
		vars, before := maps.Clone(t.env.vars), r.again
		r.again = &again{inner: []*again{before}, open: func() {
			clear(t.env.vars)
			maps.Copy(t.env.vars, vars)
			t.m.unrun(t.do.Finally, t.env)
		}}
	}
	t.m.block(t.do.Finally, last, func(own result) {
		switch {
		case own.end == completed:
			own = r
		case own.end != returned && r.again != nil:
			own.again = r.again
		}
		t.done(own, nil)
	})
}

// unrun makes expressions see steps as if they had not run.
func (m *Machine) unrun(steps []*plan.Step, e *env) {
	for _, s := range steps {
		if s.ID != "" {
			e.steps[s.ID] = e.plan.Unrun[s.ID]
		}
		for _, inner := range s.Blocks() {
			m.unrun(inner, e)
		}
	}
}
