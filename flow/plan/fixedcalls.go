package plan

import "slices"

// FixedCalls reports whether the sequence of calls that a run of the plan makes is fixed: it
// does not depend on the outcomes of calls, on time, chance or events. Such a run, for as long
// as it continues, makes the same calls one after the other, apart from attempts that are
// refused. started reports whether a step outside of loops and called flows has started: what
// its condition depended on is decided by then.
func (p *Plan) FixedCalls(started func(place string) bool) bool {
	return len(p.OnFailure) == 0 && fixedCalls(p.Steps, started, false)
}

// fixedCalls is FixedCalls for a list of steps. goesOn says that the run continues after one
// that failed.
func fixedCalls(steps []*Step, started func(place string) bool, goesOn bool) bool {
	return !slices.ContainsFunc(steps, func(s *Step) bool { return !s.fixedCalls(started, goesOn) })
}

func notStarted(string) bool { return false }

func (s *Step) fixedCalls(started func(place string) bool, goesOn bool) bool {
	decided := started(s.Place)
	if s.If != nil && !decided && !s.If.Deterministic() {
		return false
	}
	switch do := s.Do.(type) {
	case *Action:
		return !do.Resend && (!goesOn && !s.AllowFailure || do.With.deterministic())
	case *Set, *Wait, *Return, *Fail:
		return true
	case *Switch:
		for _, c := range do.Cases {
			if c.When != nil && !decided && !c.When.Deterministic() || !fixedCalls(c.Steps, started, goesOn) {
				return false
			}
		}
		return !s.AllowFailure && fixedCalls(do.Default, started, goesOn)
	case *Foreach:
		if s.AllowFailure && !isSingleAction(do.Steps) { // a failure skips the rest of the iteration
			return false
		}
		return do.Concurrency == 1 && (decided || do.Items.deterministic()) && fixedCalls(do.Steps, notStarted, s.AllowFailure)
	case *CallFlow:
		return !s.AllowFailure && do.Plan.Timeout == 0 && (decided || do.With.deterministic()) && do.Plan.FixedCalls(notStarted)
	}
	return false // a try, a parallel or a wait for an event
}

func isSingleAction(steps []*Step) bool {
	if len(steps) != 1 {
		return false
	}
	_, is := steps[0].Do.(*Action)
	return is
}

// deterministic reports whether the value is the same whenever it is evaluated.
func (v *Value) deterministic() bool {
	return v == nil || (v.program == nil || v.program.Deterministic()) &&
		!slices.ContainsFunc(v.items, func(item *Value) bool { return !item.deterministic() }) &&
		!slices.ContainsFunc(v.fields, func(f field) bool { return !f.value.deterministic() })
}
