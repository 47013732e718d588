package expr

import (
	"fmt"

	"facteur/flow/schema"
)

// What is proved about vars.x is kept in the facts of a step called "vars.x", which cannot be
// the id of a step: it counts as skipped while the variable is unset.
const varsPrefix = "vars."

// SetVar declares vars.<name>, which is set from here on.
func (s *Scope) SetVar(name string, t *schema.Type) {
	s.ReassignVar(name, t)
	s.present.set(varsPrefix+name, true)
}

// MaybeSetVar declares vars.<name>, which may be unset where it is read; see SetVar.
func (s *Scope) MaybeSetVar(name string, t *schema.Type) {
	s.ReassignVar(name, t)
	s.present.set(varsPrefix+name, false)
}

// MaybeUnset reports whether vars.<name> is declared but may be unset.
func (s *Scope) MaybeUnset(name string) bool {
	return s.vars.m[name] != nil && !s.present.m[varsPrefix+name]
}

// canReadPath reports whether a valid path can be read without a test.
func (s *Scope) canReadPath(names []string) bool {
	switch names[0] {
	case "steps":
		if !s.canReadStep(names[1:]) {
			return false
		}
	case "vars":
		if len(names) > 1 && s.MaybeUnset(names[1]) {
			return false
		}
	}
	return s.allPresent(names)
}

func (pc *presenceChecker) isVars(ch chain) bool {
	return ch.root == "vars" && pc.loopVar("vars") == nil
}

// walkVar visits a chain of vars: a variable that may be unset has to be tested first.
func (pc *presenceChecker) walkVar(ch chain, in Facts) (yes, no Facts) {
	if len(ch.links) == 0 {
		return Facts{}, Facts{}
	}
	name := ch.links[0].name
	key := varsPrefix + name
	if ch.test && len(ch.links) == 1 {
		return factsAbout(key, Skipped), factsAbout(key, anyOutcome&^Skipped)
	}
	if pc.scope.MaybeUnset(name) && !ch.links[0].optional && in.steps[key].excluded&Skipped == 0 && !in.unreachable {
		pc.reportUnset(ch.upTo(pc.positions, 1), key,
			fmt.Sprintf("set it beforehand on every path, test it with has(vars.%[1]s), or write `vars.?%[1]s.orValue(%[2]s)`", name, zero(pc.scope.vars.m[name])),
			"vars.%s may not be set", name)
	}
	if ch.test {
		return factsAbout(key, Skipped), Facts{}
	}
	return Facts{}, Facts{}
}
