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

// construct compiles what a step does, and leaves in the scope what is known when it
// succeeded. It returns the type of the step's outputs, and which outcomes besides
// success let the flow go on.
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
		c.copied(b.Name, v)
		now := v.Type
		if first := c.vars[name]; first == nil {
			c.vars[name] = now
		} else if ok, why := first.Accepts(now); !ok {
			c.diags.Errorf("variable-type", b.Value.Head(), "a variable keeps the type of its first value in the file: use another name", "vars.%s: %s", name, why)
			now = first
		} else {
			v = v.become(first, b.Value.Range)
			c.vars[name], now = revalued(first, now)
		}
		s.SetVar(name, now)
		out.Values = append(out.Values, Output{name, v})
	}
	return out
}

// revalued returns the type of a variable of the type t that is given a value of another, which
// it accepts: of all its values, and of this one.
func revalued(t, value *schema.Type) (all, now *schema.Type) {
	switch all = schema.Join(t, value); {
	case all.Kind == t.Kind && (t.Kind == schema.Map || t.Kind == schema.Object):
		now := *all
		now.Fields = value.Fields
		return all, &now
	case all.Kind == t.Kind || t.Kind == schema.List || t.Kind == schema.Map:
		return all, all
	}
	return t, t
}

// copied warns about a variable that is counted up in a loop, which has a copy.
func (c *flowCompiler) copied(name diag.Text, v *Value) {
	if c.lib.Stored || c.outer == nil || c.outer.Var(name.Value) == nil || v.program == nil {
		return
	}
	own := false
	v.program.Reads("vars", func(field string) { own = own || field == name.Value })
	if own {
		c.diags.Warnf("copied-variable", name.Whole, "give each value to collect, and put them together after the foreach, from steps.<id>.outputs.items",
			"vars.%s is a copy here: each begins with the value from outside, and nothing of it is seen there", name.Value)
	}
}

func (c *flowCompiler) switches(in *flow.Switch, s *expr.Scope, place string) *Switch {
	out := &Switch{}
	rest := s.Fork() // where no case so far holds
	var after choice
	out.Cases = c.cases(in.Cases, rest, place+"cases", "it runs in another case", &after)
	out.Default = c.block(in.Default, rest, place+"default.")
	after.add(rest, ends(in.Default))
	after.join(s)
	return out
}

// cases compiles the cases of a choice, whose ways it adds. rest is where none so far holds;
// there the steps of all are hidden in the end, for the reason given.
func (c *flowCompiler) cases(in []flow.Case, rest *expr.Scope, place, why string, ways *choice) []Case {
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
		ways.add(branch, ends(k.Steps))
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
	if what, reserved := expr.Reserved(in.As.Value); what != "a word of CEL" { // package flow says that
		if reserved {
			c.diags.Errorf("bad-item", in.As.Whole, "choose another name", "an item cannot be called %q, which is %s of expressions", in.As.Value, what)
		}
		if what != "a variable" && in.As.Value != "" {
			inside.BindItem(in.As.Value, item, of)
		}
	}
	outer, around, all := c.concurrent, c.outer, c.outermost
	if out.Concurrency > 1 {
		c.concurrent = "a foreach with concurrency"
	}
	c.outer, c.outermost = s, cmp.Or(all, s)
	before := len(c.diags)
	out.Steps = c.block(in.Steps, inside, place)
	c.concurrent, c.outer, c.outermost = outer, around, all
	collected := schema.AnyType
	if in.Collect != nil {
		out.Collect = c.value(in.Collect, nil, inside)
		// An iteration that failed or gave nothing leaves a null.
		if !step.AllowFailure && !out.Collect.isOptional() {
			collected = out.Collect.Type
		}
	}
	if in.As.Value == "" { // package flow says so, and names that are not known are likely the item's
		told := slices.DeleteFunc(c.diags[before:], func(d diag.Diagnostic) bool { return d.Code == "unknown-name" })
		c.diags = c.diags[:before+len(told)]
	}
	hide(s, in.Steps, "it is inside a foreach: use its collect, and steps."+orID(step.ID.Value)+".outputs.items")
	items := &schema.Field{Name: "items", Type: schema.ListOf(collected), Always: true, Doc: "the values of collect by position, null for an iteration that failed"}
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
		out.Branches = append(out.Branches, Lane{b.Name.Value, c.block(b.Steps, branch, place+b.Name.Value+".")})
		adopt(s, branch, b.Steps)
	}
	c.concurrent = outer
	return out
}

func (c *flowCompiler) try(in *flow.Try, s *expr.Scope, place string) *Try {
	out := &Try{}
	start := s.Fork()
	var after choice
	out.Steps = c.block(in.Steps, s, place)
	failed := c.interrupted(start, s, in.Steps)
	failed.Bind("error", call.ErrorType)
	after.add(s, ends(in.Steps))
	out.Catch = c.cases(in.Catch, failed, place+"catch", "it runs in another catch", &after)
	after.join(s)
	if len(in.Finally) > 0 {
		before := in.Steps
		for _, k := range in.Catch {
			before = slices.Concat(before, k.Steps)
		}
		last := c.interrupted(start, s, before)
		out.Finally = c.block(in.Finally, last, place+"finally.")
		adopt(s, last, in.Finally)
		each(in.Finally, func(step *flow.Step) {
			if set, ok := step.Do.(*flow.Set); ok {
				c.adoptVars(s, last, set)
			}
		})
	}
	return out
}

// adoptVars brings the variables of a set to another scope, where they may be unset.
func (c *flowCompiler) adoptVars(s, from *expr.Scope, set *flow.Set) {
	for _, b := range set.Values {
		name := b.Name.Value
		switch t := from.Var(name); {
		case t == nil:
		case from.Unset(name) && s.Var(name) == nil:
			s.MaybeVar(name, c.vars[name])
		case from.Unset(name):
			s.Renew(name, c.vars[name])
		default:
			s.SetVar(name, t)
		}
	}
}
