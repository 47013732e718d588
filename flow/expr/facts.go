package expr

import (
	"maps"
	"slices"
)

// Facts is what a condition proves about steps and about parts that may be absent. The zero
// Facts prove nothing.
type Facts struct {
	unreachable bool     // the condition cannot have this result, which proves anything
	brokenWords []string // the words of a condition that did not compile: what it would prove is unknown
	steps       map[string]stepFacts
}

// stepFacts is what is proved about one step.
type stepFacts struct {
	excluded Outcomes // outcomes that the step did not have
	present  []string // outputs that are present, sorted
}

const anyOutcome = Succeeded | Failed | Skipped

func factsAbout(id string, not Outcomes, has ...string) Facts {
	return Facts{steps: map[string]stepFacts{id: {excluded: not, present: has}}}
}

// and returns what is proved if both hold.
func (f Facts) and(g Facts) Facts {
	switch {
	case f.unreachable || len(g.steps) == 0 && !g.unreachable:
		return f
	case g.unreachable || len(f.steps) == 0:
		return g
	}
	both := maps.Clone(f.steps)
	for id, b := range g.steps {
		a := both[id]
		both[id] = stepFacts{excluded: a.excluded | b.excluded, present: union(a.present, b.present)}
	}
	return Facts{steps: both}
}

// or returns what is proved if one of the two holds, whichever it is.
func (f Facts) or(g Facts) Facts {
	switch {
	case f.unreachable:
		return g
	case g.unreachable:
		return f
	}
	var either map[string]stepFacts
	for id, a := range f.steps {
		b, ok := g.steps[id]
		if !ok {
			continue
		}
		both := a.or(b)
		if both.excluded != 0 || both.present != nil {
			if either == nil {
				either = map[string]stepFacts{}
			}
			either[id] = both
		}
	}
	return Facts{steps: either}
}

// or returns what is proved about a step if one of the two holds.
func (s stepFacts) or(t stepFacts) stepFacts {
	both := stepFacts{excluded: s.excluded & t.excluded}
	for _, name := range union(s.present, t.present) {
		if s.proves(name) && t.proves(name) {
			both.present = append(both.present, name)
		}
	}
	return both
}

// proves reports whether an output is present: it was tested, or the step succeeded.
func (s stepFacts) proves(name string) bool {
	return anyOutcome&^s.excluded&^Succeeded == 0 || slices.Contains(s.present, name)
}

// union returns the names of either sorted list, sorted.
func union(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
