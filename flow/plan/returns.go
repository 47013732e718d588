package plan

import (
	"cmp"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// A returnedValue is checked once the type of its output is known.
type returnedValue struct {
	name  diag.Text
	node  *flow.Node
	value *Value
}

// An earlyReturn is the scope at a return, and the values that it returns.
type earlyReturn struct {
	scope  *expr.Scope
	values map[string]*Value
}

func (c *flowCompiler) ret(in *flow.Return, step *flow.Step, s *expr.Scope) *Return {
	if c.concurrent != "" {
		c.diags.Errorf("return-here", step.Range, "return after it instead, depending on the outputs of its steps", "return is not allowed inside %s, where other steps run at the same time", c.concurrent)
	}
	out := &Return{}
	end := earlyReturn{cmp.Or(c.aroundLoops, s).Fork(), map[string]*Value{}}
	c.earlyReturns = append(c.earlyReturns, end)
	for _, b := range in.Values {
		v := c.value(b.Value, nil, s)
		end.values[b.Name.Value] = v
		out.Values = append(out.Values, Output{b.Name.Value, v})
		c.returnedValues = append(c.returnedValues, returnedValue{b.Name, b.Value, v})
	}
	return out
}

func (c *flowCompiler) checkReturned() {
	for _, r := range c.returnedValues {
		f := c.plan.OutputType.Field(r.name.Value)
		if f == nil {
			c.diags.Errorf("unknown-field", r.name.Whole, diag.DidYouMean(r.name.Value, "outputs", c.plan.OutputType.Names()), "the flow has no output %q", r.name.Value)
		} else if ok, why := f.Type.Accepts(r.value.Type); !ok {
			c.diags.Errorf("type-mismatch", r.node.Head(), "an output has one type: see outputs", "%s: %s", r.name.Value, why)
		} else {
			declared, _ := widen(f.Type, r.value.Type)
			*r.value = *r.value.convert(f.Type, r.node.Range)
			f.Type = declared
		}
	}
}

// callOutputType returns the type of the outputs of a successful call of the flow. An output
// is required if it has a value wherever the flow ends. end is the scope after the last step.
func (c *flowCompiler) callOutputType(end *expr.Scope) *schema.Type {
	out := *c.plan.OutputType
	out.Fields = slices.Clone(out.Fields)
	wrong := c.diags.HasErrors() // missing outputs would only be consequences of those
	for i, o := range c.plan.Outputs {
		field := *out.Fields[i]
		field.Required = wrong || !o.Value.isOptional() && !slices.ContainsFunc(c.earlyReturns, func(e earlyReturn) bool {
			if v := e.values[o.Name]; v != nil {
				return v.isOptional()
			}
			return !c.evaluableAt(c.flow.Outputs[i].Value, e.scope, end)
		})
		out.Fields[i] = &field
	}
	return &out
}

// evaluableAt reports whether a value can be evaluated where the flow ends early: the steps
// after that point did not run.
func (c *flowCompiler) evaluableAt(n *flow.Node, at, end *expr.Scope) bool {
	s := at.Fork()
	each(c.flow.Steps, func(step *flow.Step) {
		id := step.ID.Value
		before, _ := at.Step(id)
		if after, ok := end.Step(id); ok && before.Hidden != "" && after.Hidden == "" {
			s.SetStep(id, expr.Step{Outputs: after.Outputs, Outcomes: expr.Skipped, External: after.External})
		}
	})
	for name, t := range c.vars {
		if s.Var(name) == nil {
			s.MaybeSetVar(name, t)
		}
	}
	probe := *c
	probe.diags = nil
	probe.value(n, nil, s)
	return !probe.diags.HasErrors()
}
