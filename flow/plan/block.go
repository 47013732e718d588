package plan

import (
	"strconv"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// block compiles steps that run in order. It updates the scope with what is known after them.
func (c *flowCompiler) block(steps []*flow.Step, s *expr.Scope, place string) []*Step {
	out := make([]*Step, 0, len(steps))
	for i, step := range steps {
		at := step.ID.Value
		if at == "" {
			at = place + "steps[" + strconv.Itoa(i) + "]"
		}
		out = append(out, c.step(step, s, at))
		if i+1 < len(steps) && alwaysEnds(steps[i:i+1]) && !c.lib.Stored {
			c.diags.Warnf("unreachable", steps[i+1].Range, "remove the steps from here on, or give the one above an if", "this step never runs: the one above ends the flow")
		}
	}
	return out
}

// step compiles one step, and updates the scope with what is known after it.
func (c *flowCompiler) step(in *flow.Step, s *expr.Scope, place string) *Step {
	out := &Step{
		ID: in.ID.Value, Place: place, Description: in.Description,
		AllowFailure: in.AllowFailure, Sensitive: in.Sensitive, Range: in.Range,
	}
	c.plan.AllSteps = append(c.plan.AllSteps, out)

	var after joinPoint
	run := s // the scope in which the step runs
	if in.If != nil {
		var yes, no expr.Facts
		out.If, yes, no = c.condition(*in.If, s)
		run = s.Fork()
		run.Assume(yes)
		skipped := s.Fork()
		skipped.Assume(no)
		after.add(skipped, false)
	}
	var before *expr.Scope
	if in.AllowFailure {
		before = run.Fork()
	}
	outputs, outcomes := noOutputs, expr.Succeeded
	_, foreign := in.Do.(*flow.Action)
	if in.Do != nil {
		out.Kind = in.Do.Kind()
		var more expr.Outcomes
		out.Do, outputs, more = c.construct(in, place+".", run)
		outcomes |= more
	}
	if out.ID != "" {
		run.SetStep(out.ID, expr.Step{Outputs: outputs, Outcomes: outcomes, External: foreign})
	}
	if in.AllowFailure {
		failed := c.interrupted(before, run, []*flow.Step{in})
		if out.ID != "" {
			failed.SetStep(out.ID, expr.Step{Outputs: outputs, Outcomes: expr.Failed, External: foreign})
		}
		after.add(failed, false)
	}
	if len(after.open) > 0 {
		after.add(run, endsFlow(in.Do))
		after.join(s)
	}
	return out
}

var (
	noOutputs  = &schema.Type{Kind: schema.Object}
	openObject = &schema.Type{Kind: schema.Object, Open: true}
)

func (c *flowCompiler) condition(t diag.Text, s *expr.Scope) (p *expr.Program, yes, no expr.Facts) {
	p, yes, no, found := expr.Condition(t, s)
	c.diags.Add(found)
	c.noteReads(p)
	return p, yes, no
}

// A joinPoint is where alternative paths of a flow meet: it collects the scopes at their ends.
type joinPoint struct{ open, ended []*expr.Scope }

// add adds a path by the scope at its end. One that ends the flow does not reach the join
// point.
func (j *joinPoint) add(s *expr.Scope, ends bool) {
	if ends {
		j.ended = append(j.ended, s)
	} else {
		j.open = append(j.open, s)
	}
}

func (j *joinPoint) join(s *expr.Scope) { s.Join(j.open, j.ended) }

// interrupted returns what is known if the steps between two scopes may have stopped anywhere,
// also before the first of them.
func (c *flowCompiler) interrupted(before, after *expr.Scope, steps []*flow.Step) *expr.Scope {
	s := before.Fork()
	each(steps, func(step *flow.Step) {
		if id := step.ID.Value; id != "" {
			if st, ok := after.Step(id); ok {
				if st.Hidden == "" {
					st.Outcomes = expr.Succeeded | expr.Failed | expr.Skipped
				}
				s.SetStep(id, st)
			}
		}
		if set, ok := step.Do.(*flow.Set); ok {
			for _, b := range set.Values {
				switch name := b.Name.Value; {
				case after.Var(name) == nil:
				case s.Var(name) == nil:
					s.MaybeSetVar(name, c.vars[name])
				default:
					s.ReassignVar(name, c.vars[name])
				}
			}
		}
	})
	return s
}

// copySteps copies what one scope knows about steps to another.
func copySteps(s, from *expr.Scope, steps []*flow.Step) {
	each(steps, func(step *flow.Step) {
		if id := step.ID.Value; id != "" {
			if st, ok := from.Step(id); ok {
				s.SetStep(id, st)
			}
		}
	})
}

// hide makes steps unreadable in a scope; why becomes part of the diagnostic.
func hide(s *expr.Scope, steps []*flow.Step, why string) {
	each(steps, func(step *flow.Step) {
		if id := step.ID.Value; id != "" {
			s.SetStep(id, expr.Step{Hidden: why})
		}
	})
}

// each calls f for every step of the list and the steps nested in it, in the order of the
// file.
func each(steps []*flow.Step, f func(*flow.Step)) {
	for _, s := range steps {
		f(s)
		for _, inner := range blocks(s) {
			each(inner, f)
		}
	}
}

// blocks returns the lists of steps nested directly in a step.
func blocks(s *flow.Step) [][]*flow.Step {
	var out [][]*flow.Step
	switch do := s.Do.(type) {
	case *flow.Switch:
		for _, c := range do.Cases {
			out = append(out, c.Steps)
		}
		out = append(out, do.Default)
	case *flow.Foreach:
		out = append(out, do.Steps)
	case *flow.Parallel:
		for _, b := range do.Branches {
			out = append(out, b.Steps)
		}
	case *flow.Try:
		out = append(out, do.Steps)
		for _, c := range do.Catch {
			out = append(out, c.Steps)
		}
		out = append(out, do.Finally)
	case *flow.WaitFor:
		out = append(out, do.Steps)
	}
	return out
}

// alwaysEnds reports whether a list of steps never continues with what follows it.
func alwaysEnds(steps []*flow.Step) bool {
	for _, s := range steps {
		if s.If == nil && !s.AllowFailure && endsFlow(s.Do) {
			return true
		}
	}
	return false
}

// endsFlow reports whether a construct, once it runs, never succeeds and continues.
func endsFlow(do flow.Construct) bool {
	switch do := do.(type) {
	case *flow.Return, *flow.Fail:
		return true
	case *flow.Switch:
		all := do.HasDefault && alwaysEnds(do.Default)
		for _, c := range do.Cases {
			all = all && alwaysEnds(c.Steps)
		}
		return all
	case *flow.Parallel:
		for _, b := range do.Branches {
			if alwaysEnds(b.Steps) {
				return true
			}
		}
	case *flow.Try:
		all := alwaysEnds(do.Steps)
		for _, c := range do.Catch {
			all = all && alwaysEnds(c.Steps)
		}
		return all || alwaysEnds(do.Finally)
	}
	return false
}
