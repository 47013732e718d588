package plan

import "slices"

// Steady tells whether what a run of the plan calls, and in which order, does not turn on what
// becomes of the calls, on time, on chance or on events: apart from attempts that were refused,
// as long as it goes on it makes the same calls one after the other. begun tells of a step that
// stands in no other flow and in no loop whether it had begun: what it turned on is decided.
func (p *Plan) Steady(begun func(place string) bool) bool {
	return len(p.OnFailure) == 0 && steady(p.Steps, begun, false)
}

// steady is Steady of steps. Where they are lax, a run goes on after one that failed.
func steady(steps []*Step, begun func(place string) bool, lax bool) bool {
	return !slices.ContainsFunc(steps, func(s *Step) bool { return !s.steady(begun, lax) })
}

func never(string) bool { return false }

func (s *Step) steady(begun func(place string) bool, lax bool) bool {
	decided := begun(s.Place)
	if s.If != nil && !decided && !s.If.Steady() {
		return false
	}
	switch do := s.Do.(type) {
	case *Action:
		return !do.Resend && (!lax && !s.AllowFailure || do.With.steady())
	case *Set, *Wait, *Return, *Fail:
		return true
	case *Switch:
		for _, c := range do.Cases {
			if c.When != nil && !decided && !c.When.Steady() || !steady(c.Steps, begun, lax) {
				return false
			}
		}
		return !s.AllowFailure && steady(do.Default, begun, lax)
	case *Foreach:
		if s.AllowFailure && !areOneAction(do.Steps) { // a failure passes over the rest
			return false
		}
		return do.Concurrency == 1 && (decided || do.Items.steady()) && steady(do.Steps, never, s.AllowFailure)
	case *CallFlow:
		return !s.AllowFailure && do.Plan.Timeout == 0 && (decided || do.With.steady()) && do.Plan.Steady(never)
	}
	return false // a try, a parallel or a wait for an event
}

func areOneAction(steps []*Step) bool {
	if len(steps) != 1 {
		return false
	}
	_, is := steps[0].Do.(*Action)
	return is
}

// steady tells whether the value is the same whenever it is evaluated.
func (v *Value) steady() bool {
	return v == nil || (v.program == nil || v.program.Steady()) &&
		!slices.ContainsFunc(v.items, func(item *Value) bool { return !item.steady() }) &&
		!slices.ContainsFunc(v.fields, func(f field) bool { return !f.value.steady() })
}
