package machine

import (
	"errors"
	"maps"

	"facteur/flow/call"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An env is what the steps at one place see and write.
type env struct {
	plan   *plan.Plan
	group  *group
	path   string         // before the places of the steps here, e.g. "each[3]."
	values map[string]any // the variables of expressions; "steps" and "vars" among them
	steps  map[string]any
	vars   map[string]any
}

func (m *Machine) newEnv(p *plan.Plan, inputs map[string]any, g *group, path string) *env {
	steps := make(map[string]any, len(p.All))
	skipped := map[string]any{"status": string(Skipped), "attempts": int64(0)} // never written to
	for _, s := range p.All {
		if s.ID != "" {
			steps[s.ID] = skipped
		}
	}
	settings := p.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	vars := map[string]any{}
	return &env{plan: p, group: g, path: path, steps: steps, vars: vars, values: map[string]any{
		"inputs": inputs, "steps": steps, "vars": vars, "settings": settings,
		"run": map[string]any{"id": m.start.Run, "flow": p.Name, "started_at": m.start.At},
	}}
}

// bind returns an env with one more variable.
func (e *env) bind(name string, v any) *env {
	inner := *e
	inner.values = maps.Clone(e.values)
	inner.values[name] = v
	return &inner
}

// copyVars returns an env whose variables are its own.
func (e *env) copyVars() *env {
	inner := *e
	inner.vars = maps.Clone(e.vars)
	inner.values = maps.Clone(e.values)
	inner.values["vars"] = inner.vars
	return &inner
}

// copySteps returns an env whose steps are its own.
func (e *env) copySteps() *env {
	inner := *e
	inner.steps = maps.Clone(e.steps)
	inner.values = maps.Clone(e.values)
	inner.values["steps"] = inner.steps
	return &inner
}

// in returns an env whose steps stop with another group.
func (e *env) in(g *group) *env {
	inner := *e
	inner.group = g
	return &inner
}

func (m *Machine) exprVars(e *env, place string) expr.Vars {
	return expr.Vars{Values: e.values, Now: m.now, Random: &draw{m: m, place: e.path + place}}
}

func (m *Machine) eval(v *plan.Value, e *env, place string) (any, *failure) {
	x, err := v.Eval(m.exprVars(e, place))
	if err != nil {
		return nil, expressionFailure(e.path+place, err)
	}
	if _, none := x.(expr.Absent); none {
		return nil, nil
	}
	return x, nil
}

func (m *Machine) holds(p *expr.Program, e *env, place string) (bool, *failure) {
	x, err := p.Eval(m.exprVars(e, place))
	if err != nil {
		return false, expressionFailure(e.path+place, err)
	}
	yes, _ := x.(bool)
	return yes, nil
}

// text evaluates to a string; nothing gives "".
func (m *Machine) text(v *plan.Value, e *env, place string) (string, *failure) {
	if v == nil {
		return "", nil
	}
	x, f := m.eval(v, e, place)
	if f != nil {
		return "", f
	}
	coerced, found := schema.StringType.Coerce(x)
	if found.Err() != nil {
		return "", &failure{step: e.path + place, err: &call.Error{Code: "invalid_input", Class: "flow", Message: found.Error()}}
	}
	s, _ := coerced.(string)
	return s, nil
}

// A failure is an error and the path of the step that it comes from.
type failure struct {
	step string
	err  *call.Error
}

func expressionFailure(path string, err error) *failure {
	details := map[string]any{}
	var e *expr.EvalError
	if errors.As(err, &e) && e.Range.Source != nil {
		at := e.Range.Pos()
		details["file"], details["line"], details["column"] = e.Range.File(), int64(at.Line), int64(at.Col)
	}
	return &failure{step: path, err: &call.Error{Code: "expression_failed", Class: "flow", Message: err.Error(), Details: details}}
}

// withAlways fills in the outputs that are always present, with zero values.
func withAlways(t *schema.Type, out map[string]any) map[string]any {
	var filled map[string]any
	for _, f := range t.Fields {
		if _, ok := out[f.Name]; ok || !f.Always {
			continue
		}
		if filled == nil {
			filled = maps.Clone(out)
			if filled == nil {
				filled = map[string]any{}
			}
		}
		filled[f.Name] = zero(f.Type)
	}
	if filled != nil {
		return filled
	}
	if out == nil {
		return map[string]any{}
	}
	return out
}

func zero(t *schema.Type) any {
	switch t.Kind {
	case schema.String:
		return ""
	case schema.Bool:
		return false
	case schema.Int:
		return int64(0)
	case schema.Number:
		return float64(0)
	case schema.List:
		return []any{}
	case schema.Map, schema.Object:
		return map[string]any{}
	}
	return nil
}
