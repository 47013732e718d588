// Package expr compiles and evaluates the expressions of flows: CEL with the types
// of package schema, inside texts with ${…} or bare in conditions.
//
// A Scope says what an expression may read and what is known about steps that may
// not have run. Compile and Condition check against it and report with exact places;
// what they return evaluates against Vars, deterministically and within a cost limit.
// This is the only package that knows CEL.
package expr

import "facteur/flow/schema"

// Outcomes is the set of what a step may have come to where an expression stands.
type Outcomes uint8

// What a step may have come to.
const (
	Succeeded Outcomes = 1 << iota
	Failed
	Skipped
)

// A Step is what a scope knows about a step of the flow.
type Step struct {
	Outputs  *schema.Type // object; its Always fields are there also after a failure
	Outcomes Outcomes     // at this point
	Hidden   string       // why it cannot be read here, e.g. "it runs in a sibling branch"; "" when it can
	// Foreign: somebody else gives the outputs, and mostly all of them. One that a step may
	// succeed without and that is read untested is a warning then.
	Foreign bool
}
