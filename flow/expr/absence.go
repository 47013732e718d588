package expr

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// reportStep reports a chain of steps that is not proved to be present.
func (pc *presenceChecker) reportStep(ch chain, names []string, why absence) {
	step := "steps." + names[0]
	// The chain with .? and a fallback value, for the hint.
	instead := zero(pc.typeOf(names))
	optional := fmt.Sprintf("write `steps.?%s.orValue(%s)`", strings.Join(names, "."), instead)
	succeeded := fmt.Sprintf("add `if: %s.status == \"succeeded\"`", step)
	has := ""
	if len(names) > 2 {
		has = fmt.Sprintf("test it with has(steps.%s)", strings.Join(names[:3], "."))
		if pc.scope.mayLack(pc.scope.steps.m[names[0]].Outputs, names[2]) {
			succeeded = "" // does not prove that the output is present
		}
	}
	switch why {
	case mayNotHaveRun:
		if succeeded != "" {
			has = ""
		}
		pc.reportUnset(ch.upTo(pc.positions, 1), step, eitherOf(has, succeeded, optional), "%s may not have run", step)
	case mayHaveFailed:
		pc.reportUnset(ch.upTo(pc.positions, 3), step+" failed", eitherOf(has, succeeded, optional),
			"steps.%s may be absent: the step may have failed", strings.Join(names[:3], "."))
	case mayNotHaveFailed:
		pc.reportUnset(ch.upTo(pc.positions, 2), step+" did not fail",
			eitherOf(fmt.Sprintf("add `if: %s.status == \"failed\"`", step), optional),
			"%s.%s may be absent: the step may not have failed", step, names[1])
	}
}

// reportUnset reports something that may be absent.
func (pc *presenceChecker) reportUnset(at diag.Range, subject, hint, format string, args ...any) {
	pc.reportMaybeUnset(diag.Diagnostic{Range: at, Message: fmt.Sprintf(format, args...), Hint: hint, Subject: subject})
}

// reportMaybeUnset reports a missing test as maybe-unset. Reads that lack the same test have
// the same subject.
func (pc *presenceChecker) reportMaybeUnset(d diag.Diagnostic) {
	name, _, _ := strings.Cut(d.Subject, " ")
	name = name[strings.LastIndexByte(name, '.')+1:]
	if slices.ContainsFunc(pc.scope.brokenWords, func(word string) bool { return diag.Suggest(word, []string{name}) == name }) {
		return // the broken condition may be meant as its test
	}
	d.Code = "maybe-unset"
	pc.add(d)
}

// An absence is why a part of a step may be absent.
type absence int

const (
	neverAbsent absence = iota
	mayNotHaveRun
	mayHaveFailed
	mayNotHaveFailed
)

// absenceOf returns why steps.<names…> may be absent, given what is proved about the step and
// the type of its outputs.
func absenceOf(names []string, known stepFacts, outputs *schema.Type) absence {
	may := anyOutcome &^ known.excluded
	switch part := names[1]; {
	case part == "error":
		if may&^Failed != 0 {
			return mayNotHaveFailed
		}
	case part != "outputs" || may&^Succeeded == 0:
	case len(names) > 2 && slices.Contains(known.present, names[2]):
	case may&Skipped != 0:
		return mayNotHaveRun
	case len(names) > 2:
		if f := outputs.Field(names[2]); f == nil || !f.Always {
			return mayHaveFailed
		}
	}
	return neverAbsent
}

// canReadStep reports whether steps.<names…> can be read without a test.
func (s *Scope) canReadStep(names []string) bool {
	st := s.steps.m[names[0]]
	return st.Hidden == "" && absenceOf(names, st.facts(), st.Outputs) == neverAbsent
}

// typeOf returns the type of steps.<names…>, or any.
func (pc *presenceChecker) typeOf(names []string) *schema.Type {
	if t := pc.scope.pathType(append([]string{"steps"}, names...)); t != nil {
		return t
	}
	return schema.AnyType
}

// eitherOf lists alternatives, without empty ones: "a", "a, or b", "a, b, or c".
func eitherOf(options ...string) string {
	options = slices.DeleteFunc(options, func(way string) bool { return way == "" })
	last := len(options) - 1
	if last < 1 {
		return strings.Join(options, "")
	}
	return strings.Join(options[:last], ", ") + ", or " + options[last]
}
