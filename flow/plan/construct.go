package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// construct compiles what a step does, and updates the scope with what is known once it
// succeeded. It returns the type of the step's outputs, and the outcomes besides success after
// which the flow continues.
func (c *flowCompiler) construct(in *flow.Step, place string, s *expr.Scope) (Construct, *schema.Type, expr.Outcomes) {
	switch do := in.Do.(type) {
	case *flow.Action:
		a, out := c.action(do, s)
		return a, out, 0
	case *flow.Set:
		return c.set(do, s), noOutputs, 0
	case *flow.Switch:
		return c.switches(do, s, place), noOutputs, 0
	case *flow.Foreach:
		f, out := c.foreach(do, s, place, in)
		return f, out, 0
	case *flow.Parallel:
		return c.parallel(do, s, place), noOutputs, 0
	case *flow.Try:
		return c.try(do, s, place), noOutputs, 0
	case *flow.Wait:
		return &Wait{For: c.valueOrNil(do.For, schema.DurationType, s), Until: c.valueOrNil(do.Until, schema.TimestampType, s)}, noOutputs, 0
	case *flow.WaitFor:
		return c.waitFor(in, do, s, place)
	case *flow.Call:
		f, out := c.call(do, s)
		return f, out, 0
	case *flow.Return:
		return c.ret(do, in, s), noOutputs, 0
	case *flow.Fail:
		return &Fail{Code: c.valueOrNil(do.Code, schema.StringType, s), Message: c.valueOrNil(do.Message, schema.StringType, s)}, noOutputs, 0
	}
	return nil, noOutputs, 0
}

func (c *flowCompiler) set(in *flow.Set, s *expr.Scope) *Set {
	out := &Set{}
	for _, b := range in.Values {
		name := b.Name.Value
		v := c.value(b.Value, nil, s)
		c.needsValue(v, b.Value.Range)
		c.loopCopy(b.Name, v)
		current := v.Type
		if first := c.vars[name]; first == nil {
			c.vars[name] = current
		} else if ok, why := first.Accepts(current); !ok {
			c.diags.Errorf("variable-type", b.Value.Head(), "use another name: a variable keeps the type of its first value in the file", "vars.%s: %s", name, why)
			current = first
		} else {
			v = v.convert(first, b.Value.Range)
			c.vars[name], current = widen(first, current)
		}
		s.SetVar(name, current)
		out.Values = append(out.Values, Output{name, v})
	}
	return out
}

// widen returns the types of a variable of type t after an assignment that t accepts: the
// declared one, which covers all values, and the current one, of this value.
func widen(t, value *schema.Type) (declared, current *schema.Type) {
	switch declared = schema.Join(t, value); {
	case declared.Kind == t.Kind && (t.Kind == schema.Map || t.Kind == schema.Object):
		current := *declared
		current.Fields = value.Fields
		return declared, &current
	case declared.Kind == t.Kind || t.Kind == schema.List || t.Kind == schema.Map:
		return declared, declared
	}
	return t, t
}

// loopCopy warns about a variable that a loop updates from its own value: each iteration has a
// copy.
func (c *flowCompiler) loopCopy(name diag.Text, v *Value) {
	if c.lib.Stored || c.aroundLoop == nil || c.aroundLoop.Var(name.Value) == nil || v.program == nil {
		return
	}
	readsItself := false
	v.program.Reads("vars", func(field string) { readsItself = readsItself || field == name.Value })
	if readsItself {
		c.diags.Warnf("copied-variable", name.Whole, "return a value from each iteration with collect, and combine them after the foreach, from steps.<id>.outputs.items",
			"vars.%s is a copy here: each iteration starts from the value before the foreach, and its changes are lost afterwards", name.Value)
	}
}

func (c *flowCompiler) switches(in *flow.Switch, s *expr.Scope, place string) *Switch {
	out := &Switch{}
	rest := s.Fork() // the scope if no case so far holds
	var after joinPoint
	out.Cases = c.cases(in.Cases, rest, place+"cases", "it runs in another case", &after)
	out.Default = c.block(in.Default, rest, place+"default.")
	after.add(rest, alwaysEnds(in.Default))
	after.join(s)
	return out
}

// cases compiles the cases of a switch or the catches of a try, and adds the end of each to
// the join point. rest is the scope if none so far holds; the steps of all cases are hidden in
// it at the end, with why.
func (c *flowCompiler) cases(in []flow.Case, rest *expr.Scope, place, why string, after *joinPoint) []Case {
	var out []Case
	for i, k := range in {
		branch := rest.Fork()
		var when *expr.Program
		if k.When != nil {
			var yes, no expr.Facts
			when, yes, no = c.condition(*k.When, rest)
			branch.Assume(yes)
			rest.Assume(no)
		}
		out = append(out, Case{when, c.block(k.Steps, branch, place+"["+strconv.Itoa(i)+"].")})
		after.add(branch, alwaysEnds(k.Steps))
		hide(rest, k.Steps, why)
	}
	return out
}

func (c *flowCompiler) foreach(in *flow.Foreach, s *expr.Scope, place string, step *flow.Step) (*Foreach, *schema.Type) {
	out := &Foreach{As: in.As.Value, Concurrency: max(1, in.Concurrency)}
	item := schema.AnyType
	var of *expr.Program
	if in.Items != nil {
		out.Items = c.value(in.Items, anyList, s)
		of = out.Items.program
		if t := out.Items.Type; t.Kind == schema.List && t.Elem != nil {
			item = t.Elem
		}
	}
	inside := s.Fork()
	if what, reserved := expr.Reserved(in.As.Value); what != "a word of CEL" { // those are reported by package flow
		if reserved {
			c.diags.Errorf("bad-item", in.As.Whole, "choose another name", "an item cannot be called %q, which is the name of %s in expressions", in.As.Value, what)
		}
		if what != "a variable" && in.As.Value != "" {
			inside.BindItem(in.As.Value, item, of)
		}
	}
	outer, around, all := c.concurrent, c.aroundLoop, c.aroundLoops
	if out.Concurrency > 1 {
		c.concurrent = "a foreach with concurrency"
	}
	c.aroundLoop, c.aroundLoops = s, cmp.Or(all, s)
	before := len(c.diags)
	out.Steps = c.block(in.Steps, inside, place)
	c.concurrent, c.aroundLoop, c.aroundLoops = outer, around, all
	collected := schema.AnyType
	if in.Collect != nil {
		out.Collect = c.value(in.Collect, nil, inside)
		// An iteration that failed or gave nothing leaves a null.
		if !step.AllowFailure && !out.Collect.isOptional() {
			collected = out.Collect.Type
		}
	}
	if in.As.Value == "" { // reported by package flow; unknown names are probably those of the item
		kept := slices.DeleteFunc(c.diags[before:], func(d diag.Diagnostic) bool { return d.Code == "unknown-name" })
		c.diags = c.diags[:before+len(kept)]
	}
	hide(s, in.Steps, "it is inside a foreach; use collect there, and read steps."+orID(step.ID.Value)+".outputs.items")
	items := &schema.Field{Name: "items", Type: schema.ListOf(collected), Always: true, Doc: "the values of collect by position; null for an iteration that failed"}
	return out, &schema.Type{Kind: schema.Object, Fields: []*schema.Field{items}}
}

var anyList = schema.ListOf(schema.AnyType)

func orID(id string) string {
	if id == "" {
		return "<its id>"
	}
	return id
}

func (c *flowCompiler) parallel(in *flow.Parallel, s *expr.Scope, place string) *Parallel {
	out := &Parallel{}
	outer := c.concurrent
	c.concurrent = "a parallel"
	start := s.Fork()
	for _, b := range in.Branches {
		branch := start.Fork()
		for _, sibling := range in.Branches {
			if sibling.Name.Value != b.Name.Value {
				hide(branch, sibling.Steps, fmt.Sprintf("it runs in the branch %q, at the same time", sibling.Name.Value))
			}
		}
		out.Branches = append(out.Branches, Branch{b.Name.Value, c.block(b.Steps, branch, place+b.Name.Value+".")})
		copySteps(s, branch, b.Steps)
	}
	c.concurrent = outer
	return out
}

func (c *flowCompiler) try(in *flow.Try, s *expr.Scope, place string) *Try {
	out := &Try{}
	start := s.Fork()
	var after joinPoint
	out.Steps = c.block(in.Steps, s, place)
	failed := c.interrupted(start, s, in.Steps)
	failed.Bind("error", call.ErrorType)
	after.add(s, alwaysEnds(in.Steps))
	out.Catch = c.cases(in.Catch, failed, place+"catch", "it runs in another catch", &after)
	after.join(s)
	if len(in.Finally) > 0 {
		before := in.Steps
		for _, k := range in.Catch {
			before = slices.Concat(before, k.Steps)
		}
		last := c.interrupted(start, s, before)
		out.Finally = c.block(in.Finally, last, place+"finally.")
		copySteps(s, last, in.Finally)
		each(in.Finally, func(step *flow.Step) {
			if set, ok := step.Do.(*flow.Set); ok {
				c.copyVars(s, last, set)
			}
		})
	}
	return out
}

// copyVars copies the variables of a set to another scope, in which they may be unset.
func (c *flowCompiler) copyVars(s, from *expr.Scope, set *flow.Set) {
	for _, b := range set.Values {
		name := b.Name.Value
		switch t := from.Var(name); {
		case t == nil:
		case from.MaybeUnset(name) && s.Var(name) == nil:
			s.MaybeSetVar(name, c.vars[name])
		case from.MaybeUnset(name):
			s.ReassignVar(name, c.vars[name])
		default:
			s.SetVar(name, t)
		}
	}
}
