package plan

import (
	"fmt"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

const anyOutcome = expr.Succeeded | expr.Failed | expr.Skipped

// block compiles steps that run in order, and leaves in the scope what is known
// after them.
func (c *flowCompiler) block(steps []*flow.Step, s *expr.Scope, place string) []*Step {
	out := make([]*Step, 0, len(steps))
	for i, step := range steps {
		out = append(out, c.step(step, s, fmt.Sprintf("%ssteps[%d]", place, i)))
		if i+1 < len(steps) && ends(steps[i:i+1]) {
			c.diags.Warnf("unreachable", steps[i+1].Range, "remove the steps below, or give the one above an if", "this step never runs: the one above ends the flow")
		}
	}
	return out
}

func (c *flowCompiler) step(in *flow.Step, s *expr.Scope, place string) *Step {
	out := &Step{
		ID: in.ID.Value, Place: place, Description: in.Description,
		AllowFailure: in.AllowFailure, Sensitive: in.Sensitive, Range: in.Range,
	}
	if out.ID != "" {
		out.Place = out.ID
	}
	c.plan.All = append(c.plan.All, out)
	inside := s
	var no expr.Facts
	if in.If != nil {
		var yes expr.Facts
		out.If, yes, no = c.condition(*in.If, s)
		inside = s.Fork()
		inside.Assume(yes)
	}
	outcomes := expr.Succeeded
	var outputs *schema.Type
	if in.Do != nil {
		out.Kind = in.Do.Kind()
		var more expr.Outcomes
		out.Do, outputs, more = c.construct(in, out.Place+".", inside)
		outcomes |= more
	}
	if in.If != nil {
		outcomes |= expr.Skipped
		c.merge(s, inside, []*flow.Step{in}, expr.Skipped)
		if ends([]*flow.Step{{Do: in.Do}}) && !in.AllowFailure {
			s.Assume(no)
		}
	}
	if in.AllowFailure {
		outcomes |= expr.Failed
		c.merge(s, s, blocksOf(in), expr.Failed|expr.Skipped)
	}
	if out.ID != "" {
		if outputs == nil {
			outputs = &schema.Type{Kind: schema.Object}
		}
		s.SetStep(out.ID, expr.Step{Outputs: outputs, Outcomes: outcomes})
	}
	return out
}

func (c *flowCompiler) condition(t diag.Text, s *expr.Scope) (*expr.Program, expr.Facts, expr.Facts) {
	p, yes, no, found := expr.Condition(t, s)
	c.diags.Add(found)
	return p, yes, no
}

// blocksOf returns the steps directly inside a step, in one list.
func blocksOf(s *flow.Step) []*flow.Step {
	var all []*flow.Step
	for _, b := range blocks(s) {
		all = append(all, b...)
	}
	return all
}

// merge brings what an inner scope knows about steps and variables set inside it to
// the outer one, where more outcomes are possible.
func (c *flowCompiler) merge(outer, inner *expr.Scope, steps []*flow.Step, more expr.Outcomes) {
	each(steps, func(step *flow.Step) {
		if id := step.ID.Value; id != "" {
			if st, ok := inner.Step(id); ok {
				if st.Hidden == "" {
					st.Outcomes |= more
				}
				outer.SetStep(id, st)
			}
		}
		if set, ok := step.Do.(*flow.Set); ok {
			for _, b := range set.Values {
				if t := inner.Var(b.Name.Value); t != nil {
					outer.SetVar(b.Name.Value, t)
				}
			}
		}
	})
}

// hide makes steps unreadable in a scope, with the reason.
func hide(s *expr.Scope, steps []*flow.Step, why string) {
	for _, id := range stepIDs(steps) {
		s.SetStep(id, expr.Step{Hidden: why})
	}
}

// construct compiles what a step does. It returns the type of the step's outputs
// (nil: none) and which outcomes besides success let the flow go on.
func (c *flowCompiler) construct(in *flow.Step, place string, s *expr.Scope) (Construct, *schema.Type, expr.Outcomes) {
	switch do := in.Do.(type) {
	case *flow.Action:
		a, out := c.action(do, s)
		return a, out, 0
	case *flow.Set:
		return c.set(do, s), nil, 0
	case *flow.Switch:
		return c.switches(do, s, place), nil, 0
	case *flow.Foreach:
		f, out := c.foreach(do, s, place, in)
		return f, out, 0
	case *flow.Parallel:
		return c.parallel(do, s, place), nil, 0
	case *flow.Try:
		return c.try(do, s, place), nil, 0
	case *flow.Wait:
		w := &Wait{}
		if do.For != nil {
			w.For = c.value(do.For, schema.DurationType, s)
		} else if do.Until != nil {
			w.Until = c.value(do.Until, schema.TimestampType, s)
		}
		return w, nil, 0
	case *flow.WaitFor:
		return c.waitFor(do, s, place)
	case *flow.Call:
		f, out := c.call(do, s)
		return f, out, 0
	case *flow.Return:
		return c.ret(do, in, s), nil, 0
	case *flow.Fail:
		f := &Fail{}
		if do.Code != nil {
			f.Code = c.value(do.Code, schema.StringType, s)
		}
		if do.Message != nil {
			f.Message = c.value(do.Message, schema.StringType, s)
		}
		return f, nil, 0
	}
	return nil, nil, 0
}

func (c *flowCompiler) set(in *flow.Set, s *expr.Scope) *Set {
	out := &Set{}
	for _, b := range in.Values {
		name := b.Name.Value
		v := c.value(b.Value, nil, s)
		t := v.Type
		if first := c.vars[name]; first != nil {
			if ok, why := first.Accepts(t); !ok {
				c.diags.Errorf("variable-type", b.Value.Range, "a variable keeps the type of its first value in the file: use another name", "vars.%s: %s", name, why)
			}
			t = first
		} else {
			c.vars[name] = t
		}
		s.SetVar(name, t)
		out.Values = append(out.Values, Output{name, v})
	}
	return out
}

func (c *flowCompiler) switches(in *flow.Switch, s *expr.Scope, place string) *Switch {
	out := &Switch{HasDefault: in.HasDefault}
	rest := s.Fork() // what holds when no case so far did
	after := s.Fork()
	allEnd := true
	var provable []expr.Facts // hold after the switch: cases that end, from the first on
	for i, k := range in.Cases {
		branch := rest.Fork()
		var no expr.Facts
		var when *expr.Program
		if k.When != nil {
			var yes expr.Facts
			when, yes, no = c.condition(*k.When, rest)
			branch.Assume(yes)
			rest.Assume(no)
		}
		out.Cases = append(out.Cases, Case{when, c.block(k.Steps, branch, fmt.Sprintf("%scases[%d].", place, i))})
		c.merge(after, branch, k.Steps, expr.Skipped)
		if allEnd = allEnd && ends(k.Steps); allEnd {
			provable = append(provable, no)
		}
	}
	if in.HasDefault {
		branch := rest.Fork()
		out.Default = c.block(in.Default, branch, place+"default.")
		c.merge(after, branch, in.Default, expr.Skipped)
	}
	for _, k := range in.Cases {
		c.merge(s, after, k.Steps, 0)
	}
	c.merge(s, after, in.Default, 0)
	for _, no := range provable {
		s.Assume(no)
	}
	return out
}

func (c *flowCompiler) foreach(in *flow.Foreach, s *expr.Scope, place string, step *flow.Step) (*Foreach, *schema.Type) {
	out := &Foreach{As: in.As.Value, Concurrency: max(1, in.Concurrency)}
	elem := schema.AnyType
	if in.Items != nil {
		out.Items = c.value(in.Items, schema.ListOf(schema.AnyType), s)
		if t := out.Items.Type; t.Kind == schema.List && t.Elem != nil {
			elem = t.Elem
		}
	}
	inside := s.Fork()
	if reservedVariable(in.As.Value) {
		c.diags.Errorf("bad-id", in.As.Whole, "", "%q is a variable of every flow: choose another name", in.As.Value)
	} else if in.As.Value != "" {
		inside.Bind(in.As.Value, elem)
	}
	outer := c.concurrent
	if out.Concurrency > 1 {
		c.concurrent = "a foreach with concurrency"
	}
	out.Steps = c.block(in.Steps, inside, place)
	c.concurrent = outer
	item := schema.AnyType
	if in.Collect != nil {
		out.Collect = c.value(in.Collect, nil, inside)
		item = out.Collect.Type
	}
	hide(s, in.Steps, "is inside a foreach: use its collect, and steps."+orID(step.ID.Value)+".outputs.items")
	items := &schema.Field{Name: "items", Type: schema.ListOf(item), Always: true, Doc: "the values of collect by position, null for an iteration that failed"}
	return out, &schema.Type{Kind: schema.Object, Fields: []*schema.Field{items}}
}

func orID(id string) string {
	if id == "" {
		return "<its id>"
	}
	return id
}

// reservedVariable tells whether every expression knows a variable of that name.
func reservedVariable(name string) bool {
	switch name {
	case "inputs", "steps", "vars", "settings", "run", "error", "event":
		return true
	}
	return false
}

func (c *flowCompiler) parallel(in *flow.Parallel, s *expr.Scope, place string) *Parallel {
	out := &Parallel{}
	outer := c.concurrent
	c.concurrent = "a parallel"
	after := s.Fork()
	for _, b := range in.Branches {
		branch := s.Fork()
		for _, sibling := range in.Branches {
			if sibling.Name.Value != b.Name.Value {
				hide(branch, sibling.Steps, fmt.Sprintf("runs in the branch %q, at the same time", sibling.Name.Value))
			}
		}
		out.Branches = append(out.Branches, Lane{b.Name.Value, c.block(b.Steps, branch, place+b.Name.Value+".")})
		for _, id := range stepIDs(b.Steps) {
			if st, ok := branch.Step(id); ok {
				after.SetStep(id, st)
			}
		}
	}
	c.concurrent = outer
	for _, b := range in.Branches {
		for _, id := range stepIDs(b.Steps) {
			if st, ok := after.Step(id); ok {
				s.SetStep(id, st)
			}
		}
	}
	return out
}

func (c *flowCompiler) try(in *flow.Try, s *expr.Scope, place string) *Try {
	out := &Try{}
	body := s.Fork()
	out.Steps = c.block(in.Steps, body, place)

	failed := s.Fork()
	c.merge(failed, body, in.Steps, anyOutcome)
	failed.Bind("error", call.ErrorType)
	after := body
	handled := false
	for i, k := range in.Catch {
		branch := failed.Fork()
		var when *expr.Program
		if k.When != nil {
			var yes expr.Facts
			when, yes, _ = c.condition(*k.When, failed)
			branch.Assume(yes)
		}
		out.Catch = append(out.Catch, Case{when, c.block(k.Steps, branch, fmt.Sprintf("%scatch[%d].", place, i))})
		c.merge(after, branch, k.Steps, expr.Skipped)
		handled = handled || !ends(k.Steps)
	}
	if handled {
		c.merge(after, after, in.Steps, anyOutcome)
	}
	for _, list := range append([][]*flow.Step{in.Steps}, catchSteps(in)...) {
		c.merge(s, after, list, 0)
	}
	if len(in.Finally) > 0 {
		last := s.Fork()
		c.merge(last, last, in.Steps, anyOutcome)
		for _, list := range catchSteps(in) {
			c.merge(last, last, list, anyOutcome)
		}
		out.Finally = c.block(in.Finally, last, place+"finally.")
		c.merge(s, last, in.Finally, 0)
	}
	return out
}

func catchSteps(in *flow.Try) [][]*flow.Step {
	var out [][]*flow.Step
	for _, k := range in.Catch {
		out = append(out, k.Steps)
	}
	return out
}

func (c *flowCompiler) waitFor(in *flow.WaitFor, s *expr.Scope, place string) (Construct, *schema.Type, expr.Outcomes) {
	out := &WaitFor{Continue: in.OnTimeout == "continue" || in.OnTimeout == "steps"}
	event := c.lib.Catalog.Event(in.Event.Value)
	eventType := schema.AnyType
	if event == nil {
		_, known := c.lib.Catalog.Names()
		c.diags.Errorf("unknown-event", in.Event.Whole, diag.DidYouMean(in.Event.Value, "events", known), "there is no event %q", in.Event.Value)
	} else {
		out.Event, eventType = event, event.Type
		c.plan.Events = append(c.plan.Events, event.Name)
	}
	c.subject(in, event, out, s)
	if in.Connection != nil {
		out.Connection = in.Connection.Value
		if event != nil && !event.Connection {
			c.diags.Errorf("unknown-key", in.Connection.Whole, "", "%s takes no connection", event.Name)
		}
	}
	if in.When != nil {
		inside := s.Fork()
		inside.Bind("event", eventType)
		out.When, _, _ = c.condition(*in.When, inside)
	}
	if in.Timeout != nil {
		out.Timeout = c.value(in.Timeout, schema.DurationType, s)
	} else if out.Continue {
		c.diags.Errorf("missing-key", in.Range, "add timeout to wait_for", "on_timeout without a timeout")
	}
	var more expr.Outcomes
	if out.Continue {
		late := s.Fork()
		out.OnTimeout = c.block(in.Steps, late, place+"on_timeout.")
		c.merge(s, late, in.Steps, expr.Skipped)
		if !ends(in.Steps) {
			more = expr.Failed
		}
	}
	if eventType.Kind != schema.Object {
		eventType = &schema.Type{Kind: schema.Object, Open: true}
	}
	return out, eventType, more
}

// subject compiles the key of wait_for that says whose events are meant.
func (c *flowCompiler) subject(in *flow.WaitFor, event *call.Event, out *WaitFor, s *expr.Scope) {
	keys := []struct {
		name string
		node *flow.Node
	}{{"from", in.From}, {"path", in.Path}}
	for _, k := range keys {
		switch {
		case event == nil:
			if k.node != nil {
				c.value(k.node, schema.StringType, s)
			}
		case event.By == k.name && k.node == nil:
			c.diags.Errorf("missing-key", in.Range, "add "+k.name+" to wait_for", "%s needs %s: whose events are meant", event.Name, k.name)
		case event.By == k.name:
			out.Subject = c.value(k.node, schema.StringType, s)
			if text, ok := out.Subject.Literal(); ok && event.Subject != nil {
				if text, ok := text.(string); ok {
					if _, err := event.Subject(text); err != nil {
						c.diags.Errorf("bad-subject", k.node.Range, "", "%s: %s", k.name, err)
					}
				}
			}
		case k.node != nil:
			c.diags.Errorf("unknown-key", k.node.Range, "it takes "+event.By, "%s takes no %s", event.Name, k.name)
		}
	}
}

func (c *flowCompiler) call(in *flow.Call, s *expr.Scope) (Construct, *schema.Type) {
	var callee *flow.Flow
	if c.lib.Flow != nil {
		callee = c.lib.Flow(in.Flow.Value)
	}
	if callee == nil {
		if in.With != nil {
			c.value(in.With, nil, s)
		}
		c.diags.Errorf("unknown-flow", in.Flow.Whole, diag.DidYouMean(in.Flow.Value, "flows", c.lib.FlowNames), "there is no flow %q in this project", in.Flow.Value)
		return &CallFlow{}, openObject
	}
	done := c.called(callee)
	switch {
	case done.busy || callee.Name.Value == c.plan.Name:
		c.diags.Errorf("call-cycle", in.Flow.Whole, "a flow cannot call itself, not even through others", "%s calls itself through this step", in.Flow.Value)
		return &CallFlow{}, openObject
	case done.plan == nil:
		c.diags.Errorf("called-flow", in.Flow.Whole, "see "+callee.Source.Name, "the flow %s has mistakes of its own: %s", in.Flow.Value, done.diags.Err())
		return &CallFlow{}, openObject
	}
	with := in.With
	if with == nil {
		with = &flow.Node{Kind: flow.MapNode, Range: in.WithRange}
	}
	out := &CallFlow{Plan: done.plan, With: c.value(with, done.plan.Inputs, s)}
	for name, src := range done.plan.Sources {
		c.plan.Sources[name] = src
	}
	c.plan.Events = append(c.plan.Events, done.plan.Events...)
	c.plan.Connections = append(c.plan.Connections, done.plan.Connections...)
	return out, done.plan.OutputType
}

var openObject = &schema.Type{Kind: schema.Object, Open: true}

func (c *flowCompiler) ret(in *flow.Return, step *flow.Step, s *expr.Scope) *Return {
	if c.concurrent != "" {
		c.diags.Errorf("return-here", step.Range, "end the flow after it instead, by what its steps gave", "return inside %s has no meaning: other steps run at the same time", c.concurrent)
	}
	out := &Return{}
	for _, b := range in.Values {
		v := c.value(b.Value, nil, s)
		out.Values = append(out.Values, Output{b.Name.Value, v})
		c.returned = append(c.returned, returned{b.Name, b.Value, v})
	}
	return out
}

func (c *flowCompiler) checkReturned() {
	for _, r := range c.returned {
		f := c.plan.OutputType.Field(r.name.Value)
		if f == nil {
			c.diags.Errorf("unknown-field", r.name.Whole, diag.DidYouMean(r.name.Value, "outputs", c.plan.OutputType.Names()), "the flow has no output %q", r.name.Value)
		} else if ok, why := f.Type.Accepts(r.value.Type); !ok {
			c.diags.Errorf("type-mismatch", r.node.Range, "an output has one type: see outputs", "%s: %s", r.name.Value, why)
		}
	}
}

// The defaults of what a step leaves out.
const (
	defaultTimeout        = 30 * time.Second
	defaultUnknownTimeout = 10 * time.Minute
)
