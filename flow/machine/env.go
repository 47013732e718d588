package machine

import (
	"errors"
	"maps"

	"facteur/flow/call"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An env is the environment of the steps at one place: what they read and write.
type env struct {
	m           *Machine
	plan        *plan.Plan
	group       *group
	pathPrefix  string // of Step.Path, e.g. "each[3]."
	placePrefix string // of plan.Step.Place, which pathPrefix replaces, e.g. "each."
	inputs      map[string]any
	steps       map[string]any
	vars        map[string]any
	bound       *binding // other variables, the innermost first
	cleanup     bool     // in a finally or in on_failure, which a retry executes again
}

// A binding is a variable that only some of the steps see.
type binding struct {
	name  string
	value any
	outer *binding
}

// newEnv returns the environment of a flow's steps; cleanup tells whether the flow is called
// in a finally or in on_failure.
func (m *Machine) newEnv(p *plan.Plan, inputs map[string]any, path string, cleanup bool) env {
	return env{m: m, plan: p, pathPrefix: path, inputs: inputs, steps: maps.Clone(p.InitialSteps), vars: map[string]any{}, cleanup: cleanup}
}

// Value implements expr.Values.
func (e *env) Value(name string) (v any, ok bool) {
	for b := e.bound; b != nil; b = b.outer {
		if b.name == name {
			return b.value, true
		}
	}
	switch name {
	case "inputs":
		return e.inputs, true
	case "steps":
		return e.steps, true
	case "vars":
		return e.vars, true
	case "settings":
		return e.plan.Settings, true
	case "run":
		return map[string]any{"id": e.m.start.Run, "flow": e.plan.Name, "started_at": e.m.start.At}, true
	}
	return nil, false
}

// bind returns an env with one more variable.
func (e *env) bind(name string, v any) *env {
	inner := *e
	inner.bound = &binding{name, v, e.bound}
	return &inner
}

// in returns an env whose steps belong to another group.
func (e *env) in(g *group) *env {
	inner := *e
	inner.group = g
	return &inner
}

// branch returns an env of another group whose variables are its own.
func (e *env) branch(g *group) *env {
	inner := e.in(g)
	inner.vars = maps.Clone(e.vars)
	return inner
}

// iteration returns an env of another group whose variables and steps are its own,
// with one more variable.
func (e *env) iteration(g *group, name string, item any) *env {
	inner := e.branch(g)
	inner.steps = maps.Clone(e.steps)
	inner.bound = &binding{name, item, e.bound}
	return inner
}

// exprVars returns the variables of an expression at a place. They are valid until the next
// call of exprVars.
func (m *Machine) exprVars(e *env, place string) expr.Vars {
	m.source = randomSource{m, e.pathPrefix, place}
	return expr.Vars{Values: e, Now: m.now, Random: &m.source}
}

// eval evaluates a value of a step; an absent one is nil.
func (m *Machine) eval(v *plan.Value, e *env, place string) (any, *failure) {
	if x, ok := v.Literal(); ok {
		return x, nil
	}
	x, err := v.Eval(m.exprVars(e, place))
	if err != nil {
		return nil, expressionFailure(err)
	}
	if _, none := x.(expr.Absent); none {
		return nil, nil
	}
	return x, nil
}

func (m *Machine) condition(p *expr.Program, e *env, place string) (bool, *failure) {
	x, err := p.Eval(m.exprVars(e, place))
	if err != nil {
		return false, expressionFailure(err)
	}
	yes, _ := x.(bool)
	return yes, nil
}

// values evaluates the named values of a step, and leaves out absent ones.
func (m *Machine) values(list []plan.Output, e *env, place string) (map[string]any, *failure) {
	out := make(map[string]any, len(list))
	for _, o := range list {
		x, err := o.Value.Eval(m.exprVars(e, place))
		if err != nil {
			f := expressionFailure(err)
			f.err.Message = o.Name + ": " + f.err.Message
			return nil, f
		}
		if _, none := x.(expr.Absent); !none {
			out[o.Name] = x
		}
	}
	return out, nil
}

// typed evaluates a value and coerces it to a type.
func (m *Machine) typed(v *plan.Value, t *schema.Type, e *env, place string) (any, *failure) {
	x, f := m.eval(v, e, place)
	if f != nil {
		return nil, f
	}
	coerced, found := t.Coerce(x)
	if err := found.Err(); err != nil {
		return nil, invalid(err)
	}
	return coerced, nil
}

// text evaluates a value as a string; an absent one is "".
func (m *Machine) text(v *plan.Value, e *env, place string) (string, *failure) {
	if v == nil {
		return "", nil
	}
	x, f := m.eval(v, e, place)
	if f != nil || x == nil {
		return "", f
	}
	coerced, found := schema.StringType.Coerce(x)
	if err := found.Err(); err != nil {
		return "", invalid(err)
	}
	s, _ := coerced.(string)
	return s, nil
}

// A failure is an error that ends steps, from the inside out, and the innermost of them.
type failure struct {
	err   *call.Error
	path  string // of the step, "" before one has ended with it
	id    string // of the step, as the flow's expressions see it
	hasID bool   // id is set
}

func (f *failure) result() result { return result{end: failed, failure: f} }

// value returns the failure as catch and on_failure see it.
func (f *failure) value() map[string]any { return f.err.Value(f.id) }

// setStep sets the step that ended with the failure, unless an inner one did.
func (f *failure) setStep(s *plan.Step, path string) {
	if f.path == "" {
		f.path = path
	}
	if !f.hasID {
		f.id, f.hasID = s.ID, true
	}
}

// flowError returns a failure of the flow itself, not of a call.
func flowError(code, message string) *failure {
	return &failure{err: &call.Error{Code: code, Class: "flow", Message: message}}
}

func invalid(err error) *failure { return flowError("invalid_input", err.Error()) }

func expressionFailure(err error) *failure {
	f := flowError("expression_failed", err.Error())
	if e, ok := errors.AsType[*expr.EvalError](err); ok && e.Range.Source != nil {
		at := e.Range.Pos()
		f.err.Details = map[string]any{"file": e.Range.File(), "line": int64(at.Line), "column": int64(at.Col), "expression": e.Expression}
	}
	return f
}
