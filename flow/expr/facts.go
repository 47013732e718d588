package expr

import (
	"maps"
	"slices"
)

// Facts is what a condition proves about steps and about parts that may be absent. The
// zero Facts prove nothing.
type Facts struct {
	never bool     // it cannot come to this: everything would follow
	lost  []string // the words of a condition that is broken: nobody knows what it would prove
	steps map[string]stepFacts
}

// stepFacts is what is proved about one step.
type stepFacts struct {
	not Outcomes // what it did not come to
	has []string // outputs that are there, sorted
}

const anyOutcome = Succeeded | Failed | Skipped

func about(id string, not Outcomes, has ...string) Facts {
	return Facts{steps: map[string]stepFacts{id: {not: not, has: has}}}
}

// and returns what is proved when both hold.
func (f Facts) and(g Facts) Facts {
	switch {
	case f.never || len(g.steps) == 0 && !g.never:
		return f
	case g.never || len(f.steps) == 0:
		return g
	}
	both := maps.Clone(f.steps)
	for id, b := range g.steps {
		a := both[id]
		both[id] = stepFacts{not: a.not | b.not, has: union(a.has, b.has)}
	}
	return Facts{steps: both}
}

// or returns what is proved when one of the two holds, whichever it is.
func (f Facts) or(g Facts) Facts {
	switch {
	case f.never:
		return g
	case g.never:
		return f
	}
	var either map[string]stepFacts
	for id, a := range f.steps {
		b, ok := g.steps[id]
		if !ok {
			continue
		}
		both := a.or(b)
		if both.not != 0 || both.has != nil {
			if either == nil {
				either = map[string]stepFacts{}
			}
			either[id] = both
		}
	}
	return Facts{steps: either}
}

// or returns what is proved about a step when one of the two holds.
func (s stepFacts) or(t stepFacts) stepFacts {
	both := stepFacts{not: s.not & t.not}
	for _, name := range union(s.has, t.has) {
		if s.proves(name) && t.proves(name) {
			both.has = append(both.has, name)
		}
	}
	return both
}

// proves tells whether an output is there: it was tested, or the step succeeded.
func (s stepFacts) proves(name string) bool {
	return anyOutcome&^s.not&^Succeeded == 0 || slices.Contains(s.has, name)
}

// union returns the names of both sorted lists, sorted.
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
