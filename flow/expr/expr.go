// Package expr compiles and evaluates the expressions of flows: CEL with the types of package
// schema, inside texts with ${…} or bare in conditions.
//
// A Scope declares what an expression may read, and what is known about steps that may not
// have run. Compile and Condition check against it and report exact positions; the resulting
// Program evaluates against Vars, deterministically and within a cost limit. This is the only
// package that imports CEL.
package expr

import "facteur/flow/schema"

// Outcomes is the set of outcomes that a step may have had at a point of the flow.
type Outcomes uint8

// The outcomes of a step.
const (
	Succeeded Outcomes = 1 << iota
	Failed
	Skipped
)

// A Step is what a scope knows about a step of the flow.
type Step struct {
	Outputs  *schema.Type // an object; its Always fields are also present after a failure
	Outcomes Outcomes     // at this point
	Hidden   string       // why the step cannot be read here, e.g. "it runs in a sibling branch"; "": it can
	// External says that the outputs come from outside, by an action, and are mostly complete.
	// Reading an output without a test that a success may lack is then only a warning.
	External bool
}
