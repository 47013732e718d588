package expr

import (
	"slices"

	"facteur/flow/schema"
)

// Join updates the scope at a point where alternative paths of the flow meet: open are the
// scopes at the ends of the paths that lead here, ended those of paths that end the flow. All
// are forks of s, and s itself may be one of them.
//
// A step that ran on some open paths only may have been skipped; one that ran only on an ended
// path was skipped; likewise for variables. Without an open path what follows never runs, and
// is compiled with all that is known on an ended one.
func (s *Scope) Join(open, ended []*Scope) {
	if len(open) == 0 {
		open, ended = ended, nil
	}
	if len(open) == 0 {
		return
	}
	steps, vars, present := s.joinSteps(open, ended), joinVars(open, ended), joinPresent(open)
	for _, w := range open {
		if len(ended) > 0 { // otherwise no condition proves anything about what follows
			s.brokenWords = union(s.brokenWords, w.brokenWords)
		}
	}
	s.steps = table[knownStep]{m: steps}
	s.vars = table[*schema.Type]{m: vars}
	s.present = table[bool]{m: present}
}

func (s *Scope) joinSteps(open, ended []*Scope) map[string]knownStep {
	joined := make(map[string]knownStep, len(open[0].steps.m))
	all := slices.Concat(open, ended)
	for _, w := range all {
		for id := range w.steps.m {
			if _, done := joined[id]; !done {
				joined[id] = s.joinStep(id, open, all)
			}
		}
	}
	return joined
}

func (s *Scope) joinStep(id string, open, all []*Scope) knownStep {
	var known knownStep
	visible := false
	known.Hidden = s.steps.m[id].Hidden // unless a path has another reason
	for _, w := range all {
		switch st, ok := w.steps.m[id]; {
		case !ok || visible:
		case st.Hidden == "":
			visible = true
			known = knownStep{Step: Step{Outputs: st.Outputs, External: st.External}}
		case known.Hidden == s.steps.m[id].Hidden:
			known.Hidden = st.Hidden
		}
	}
	if !visible {
		return known
	}
	for i, w := range open {
		st, ok := w.steps.m[id]
		if !ok || st.Hidden != "" {
			st = knownStep{Step: Step{Outcomes: Skipped}}
		}
		if i > 0 {
			st.present = known.facts().or(st.facts()).present
		}
		known.present = st.present
		known.Outcomes |= st.Outcomes
	}
	return known
}

// facts returns what is proved about the step.
func (s knownStep) facts() stepFacts {
	return stepFacts{excluded: anyOutcome &^ s.Outcomes, present: s.present}
}

func joinVars(open, ended []*Scope) map[string]*schema.Type {
	vars := map[string]*schema.Type{}
	for i, w := range slices.Concat(open, ended) {
		for name, t := range w.vars.m {
			if known := vars[name]; known == nil {
				vars[name] = t
			} else if i < len(open) {
				vars[name] = schema.Join(known, t)
			}
		}
	}
	return vars
}
