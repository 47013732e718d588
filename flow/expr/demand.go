package expr

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// demand reports a chain that is not proved to be there.
func (g *guard) demand(ch chain, names []string, why lack) {
	step := "steps." + names[0]
	// The chain with .? and a value to stand in, for the hint.
	instead := zero(g.typeOf(names))
	optional := fmt.Sprintf("write `steps.?%s.orValue(%s)`", strings.Join(names, "."), instead)
	succeeded := fmt.Sprintf("add `if: %s.status == \"succeeded\"`", step)
	has := ""
	if len(names) > 2 {
		has = fmt.Sprintf("test it with has(steps.%s)", strings.Join(names[:3], "."))
		if g.scope.mayLack(g.scope.steps.m[names[0]].Outputs, names[2]) {
			succeeded = "" // which says nothing of it
		}
	}
	switch why {
	case mayNotHaveRun:
		if succeeded != "" {
			has = ""
		}
		g.unset(ch.upTo(g.places, 1), step, eitherOf(has, succeeded, optional), "%s may not have run", step)
	case mayHaveFailed:
		g.unset(ch.upTo(g.places, 3), step+" failed", eitherOf(has, succeeded, optional),
			"steps.%s may be absent: the step may have failed", strings.Join(names[:3], "."))
	case mayNotHaveFailed:
		g.unset(ch.upTo(g.places, 2), step+" did not fail",
			eitherOf(fmt.Sprintf("add `if: %s.status == \"failed\"`", step), optional),
			"%s.%s may be absent: the step may not have failed", step, names[1])
	}
}

// unset reports what may not be there.
func (g *guard) unset(at diag.Range, subject, hint, format string, args ...any) {
	g.forgotten(diag.Diagnostic{Range: at, Message: fmt.Sprintf(format, args...), Hint: hint, Subject: subject})
}

// forgotten reports a guard that is not there. One that was forgotten is one subject.
func (g *guard) forgotten(d diag.Diagnostic) {
	name, _, _ := strings.Cut(d.Subject, " ")
	name = name[strings.LastIndexByte(name, '.')+1:]
	if slices.ContainsFunc(g.scope.lost, func(word string) bool { return diag.Suggest(word, []string{name}) == name }) {
		return // it may be there, once the condition is mended
	}
	d.Code = "maybe-unset"
	g.add(d)
}

// A lack is why a part of a step may not be there.
type lack int

const (
	safe lack = iota
	mayNotHaveRun
	mayHaveFailed
	mayNotHaveFailed
)

// needs tells whether steps.<names…> is there, given what is known about the step and the
// type of its outputs.
func needs(names []string, known stepFacts, outputs *schema.Type) lack {
	may := anyOutcome &^ known.not
	switch part := names[1]; {
	case part == "error":
		if may&^Failed != 0 {
			return mayNotHaveFailed
		}
	case part != "outputs" || may&^Succeeded == 0:
	case len(names) > 2 && slices.Contains(known.has, names[2]):
	case may&Skipped != 0:
		return mayNotHaveRun
	case len(names) > 2:
		if f := outputField(outputs, names[2]); f == nil || !f.Always {
			return mayHaveFailed
		}
	}
	return safe
}

// readable tells whether steps.<names…> can be read without a test.
func (s *Scope) readable(names []string) bool {
	st := s.steps.m[names[0]]
	return st.Hidden == "" && needs(names, st.facts(), st.Outputs) == safe
}

// typeOf returns the type at the end of steps.<names…>, or any.
func (g *guard) typeOf(names []string) *schema.Type {
	if t := g.scope.follow(append([]string{"steps"}, names...)); t != nil {
		return t
	}
	return schema.AnyType
}

// outputField returns a step's output, or nil.
func outputField(outputs *schema.Type, name string) *schema.Field {
	if outputs == nil {
		return nil
	}
	return outputs.Field(name)
}

// eitherOf lists ways out, without those that are "": "a", "a, or b", "a, b, or c".
func eitherOf(ways ...string) string {
	ways = slices.DeleteFunc(ways, func(way string) bool { return way == "" })
	last := len(ways) - 1
	if last < 1 {
		return strings.Join(ways, "")
	}
	return strings.Join(ways[:last], ", ") + ", or " + ways[last]
}
