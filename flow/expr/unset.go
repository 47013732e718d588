package expr

import (
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// What is proved about vars.x is kept among the facts as of a step called "vars.x",
// which no step can be, that was skipped where the variable is not set.
const varsPrefix = "vars."

// MaybeVar declares vars.<name>, which may not be set where it is read; see SetVar.
func (s *Scope) MaybeVar(name string, t *schema.Type) {
	s.Renew(name, t)
	s.unset.set(name, true)
}

// Unset tells whether vars.<name> is declared but may not be set.
func (s *Scope) Unset(name string) bool { return s.unset.m[name] }

// assumeThere notes what is proved about a variable or a property.
func (s *Scope) assumeThere(place string, known stepFacts) {
	if known.not&Skipped == 0 {
		return
	}
	if name, ok := strings.CutPrefix(place, varsPrefix); ok && s.unset.m[name] {
		s.unset.set(name, false)
	}
	s.there.set(place, true)
}

// proved tells whether a path that leads to a type can be read without a test.
func (s *Scope) proved(names []string) bool {
	switch names[0] {
	case "steps":
		if !s.readable(names[1:]) {
			return false
		}
	case "vars":
		if len(names) > 1 && s.unset.m[names[1]] {
			return false
		}
	}
	return s.complete(names)
}

func (g *guard) isVars(ch chain) bool {
	return ch.root == "vars" && g.local("vars") == nil
}

// variable visits a chain of vars: what may not be set has to be tested before.
func (g *guard) variable(ch chain, in Facts) (yes, no Facts) {
	if len(ch.links) == 0 {
		return Facts{}, Facts{}
	}
	name := ch.links[0].name
	key := varsPrefix + name
	if ch.test && len(ch.links) == 1 {
		return about(key, Skipped), about(key, anyOutcome&^Skipped)
	}
	if g.scope.unset.m[name] && !ch.links[0].optional && in.steps[key].not&Skipped == 0 && !in.never {
		g.unset(ch.upTo(g.places, 1), key,
			fmt.Sprintf("set it before in any case, test it with has(vars.%[1]s), or write `vars.?%[1]s.orValue(%[2]s)`", name, zero(g.scope.vars.m[name])),
			"vars.%s may not be set", name)
	}
	if ch.test {
		return about(key, Skipped), Facts{}
	}
	return Facts{}, Facts{}
}
