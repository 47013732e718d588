package expr

import (
	"slices"

	"facteur/flow/schema"
)

// Join sets what is known about steps and variables after a choice of the flow: ways
// are the scopes at the end of each way that goes on, over those of the ways that end
// the flow. All are forks of s, and s itself may be one of them.
//
// A step that ran in some ways only may have been skipped, and one that ran only in a
// way that is over was; likewise with variables. Without any way that goes on, what
// follows never runs, and everything that was known in one of the others is.
func (s *Scope) Join(ways, over []*Scope) {
	if len(ways) == 0 {
		ways, over = over, nil
	}
	if len(ways) == 0 {
		return
	}
	steps := s.joinSteps(ways, over)
	vars, unset := joinVars(ways, over)
	s.there = joinThere(ways)
	for _, w := range ways {
		if len(over) > 0 { // else a condition proves nothing of what follows
			s.lost = union(s.lost, w.lost)
		}
	}
	s.steps = table[knownStep]{m: steps}
	s.vars = table[*schema.Type]{m: vars}
	s.unset = table[bool]{m: unset}
}

func (s *Scope) joinSteps(ways, over []*Scope) map[string]knownStep {
	joined := make(map[string]knownStep, len(ways[0].steps.m))
	all := slices.Concat(ways, over)
	for _, w := range all {
		for id := range w.steps.m {
			if _, done := joined[id]; !done {
				joined[id] = s.joinStep(id, ways, all)
			}
		}
	}
	return joined
}

func (s *Scope) joinStep(id string, ways, all []*Scope) knownStep {
	var known knownStep
	visible := false
	known.Hidden = s.steps.m[id].Hidden // unless a way knows better
	for _, w := range all {
		switch st, ok := w.steps.m[id]; {
		case !ok || visible:
		case st.Hidden == "":
			visible = true
			known = knownStep{Step: Step{Outputs: st.Outputs, Foreign: st.Foreign}}
		case known.Hidden == s.steps.m[id].Hidden:
			known.Hidden = st.Hidden
		}
	}
	if !visible {
		return known
	}
	for i, w := range ways {
		st, ok := w.steps.m[id]
		if !ok || st.Hidden != "" {
			st = knownStep{Step: Step{Outcomes: Skipped}}
		}
		if i > 0 {
			st.has = known.facts().or(st.facts()).has
		}
		known.has = st.has
		known.Outcomes |= st.Outcomes
	}
	return known
}

// facts gives what is proved about the step.
func (s knownStep) facts() stepFacts {
	return stepFacts{not: anyOutcome &^ s.Outcomes, has: s.has}
}

func joinVars(ways, over []*Scope) (vars map[string]*schema.Type, unset map[string]bool) {
	vars, unset = map[string]*schema.Type{}, map[string]bool{}
	for i, w := range slices.Concat(ways, over) {
		for name, t := range w.vars.m {
			if known := vars[name]; known == nil {
				vars[name] = t
			} else if i < len(ways) {
				vars[name] = schema.Join(known, t)
			}
		}
	}
	for name := range vars {
		for _, w := range ways {
			if w.vars.m[name] == nil || w.unset.m[name] {
				unset[name] = true
			}
		}
	}
	return vars, unset
}
