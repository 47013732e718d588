// Package expr compiles and evaluates the expressions of flows: CEL with the types
// of package schema, inside texts with ${…} or bare in conditions.
//
// A Scope says what an expression may read and what is known about steps that may
// not have run. Compile and Condition check against it and report with exact places;
// what they return evaluates against Vars, deterministically and within a cost limit.
// This is the only package that knows CEL.
package expr

import (
	"time"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

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
	Hidden   string       // why it cannot be read here, completing "steps.x …"; "" when it can
}

// A Scope is what expressions at one place of a flow may read.
type Scope struct{}

// NewScope returns the scope at a flow's start. It declares `run`; Bind adds others.
func NewScope() *Scope { panic("not yet") }

// Fork returns a copy: what is set on one is not seen by the other.
func (s *Scope) Fork() *Scope { panic("not yet") }

// Bind declares a variable, or declares it anew with another type, e.g. inputs,
// settings, event, error, a foreach's item.
func (s *Scope) Bind(name string, t *schema.Type) { panic("not yet") }

// SetVar declares vars.<name>.
func (s *Scope) SetVar(name string, t *schema.Type) { panic("not yet") }

// Var returns the type of vars.<name>, or nil.
func (s *Scope) Var(name string) *schema.Type { panic("not yet") }

// SetStep says what is known about a step from here on.
func (s *Scope) SetStep(id string, st Step) { panic("not yet") }

// Step returns what is known about a step; ok is false for an id never set.
func (s *Scope) Step(id string) (st Step, ok bool) { panic("not yet") }

// Assume narrows the scope by what a condition proved.
func (s *Scope) Assume(f Facts) { panic("not yet") }

// Facts is what a condition proves about steps and about parts that may be absent.
type Facts struct{}

// A Program is a compiled expression, or a text with expressions inside. Programs
// are immutable and safe for concurrent use.
type Program struct{}

// Compile compiles a text: without ${ it is itself; exactly one ${…} keeps its type;
// otherwise each part is formatted into the text. Where it fails, the program is nil
// and should be treated as of type any.
func Compile(t diag.Text, s *Scope) (*Program, diag.List) { panic("not yet") }

// Condition compiles bare CEL of type bool, and tells what holds when it is true
// and when it is false.
func Condition(t diag.Text, s *Scope) (p *Program, yes, no Facts, l diag.List) { panic("not yet") }

// Literal tells whether the program has no expression in it, and then its text.
func (p *Program) Literal() (text string, ok bool) { panic("not yet") }

// Type returns the type of what the program gives.
func (p *Program) Type() *schema.Type { panic("not yet") }

// Optional tells whether the program may give no value at all (CEL's optional none).
func (p *Program) Optional() bool { panic("not yet") }

// Vars is what a program reads when it is evaluated.
type Vars struct {
	Values map[string]any // by variable: plain values as of schema.Coerce
	Now    time.Time      // of now()
	Random Random         // of random() and uuid(); nil: they are errors
}

// Random is the source of random() and uuid().
type Random interface {
	// Int returns an integer from a to b, both included.
	Int(a, b int64) (int64, error)
	// UUID returns a random UUID, version 4.
	UUID() string
}

// Absent is what Eval gives for an optional without a value.
type Absent struct{}

// Eval evaluates the program. The result is a plain value as of schema.Coerce, or
// Absent. The error is an *EvalError.
func (p *Program) Eval(v Vars) (any, error) { panic("not yet") }

// An EvalError says which expression could not be evaluated, and why.
type EvalError struct {
	Range   diag.Range
	Message string // lower case, for people
	Missing bool   // a part was absent: a field that is not there
}

func (e *EvalError) Error() string { return e.Message }
