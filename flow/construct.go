package flow

import (
	"slices"
	"strings"

	"facteur/flow/diag"
)

func (p *parser) set(o fields) Construct {
	values := o.named("set", "a variable")
	if n := o.get("set"); n.Kind == MapNode && len(n.Entries) == 0 {
		p.errorf("empty-list", n.Range, "", "`set` sets nothing")
	}
	return &Set{Values: values}
}

func (p *parser) switchCases(o fields) Construct {
	s := &Switch{
		Cases:      p.cases(o, "switch", true),
		Default:    o.steps("default", mayDoNothing),
		HasDefault: o.get("default") != nil,
	}
	return s
}

// cases returns the list of cases of a key.
func (p *parser) cases(o fields, key string, needsWhen bool) []Case {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != ListNode {
		p.wrongKind(n, o.name(key), "a list of {when, steps}", "write - when: with a condition, and steps: below it")
		return nil
	}
	if len(n.Items) == 0 {
		p.errorf("empty-list", n.Range, "", "%s has no cases", o.name(key))
	}
	cases := make([]Case, 0, len(n.Items))
	for _, item := range n.Items {
		if steps, ok := p.stray(item, key); ok {
			cases = append(cases, Case{Steps: steps})
			continue
		}
		c, ok := p.fields(item, "a case of "+o.name(key), "when", "steps")
		if !ok {
			continue
		}
		if needsWhen {
			c.need("when")
		}
		c.need("steps")
		cases = append(cases, Case{When: c.condition("when"), Steps: c.steps("steps", mayDoNothing)})
	}
	return cases
}

// stray reads what stands in place of a case of switch or catch: a step, or what is to run
// otherwise.
func (p *parser) stray(item *Node, key string) (steps []*Step, ok bool) {
	if item.Kind != MapNode || item.Get("when") != nil || item.Get("steps") != nil {
		return nil, false
	}
	for _, e := range item.Entries {
		switch name := e.Key.Value; {
		case name == "default" || name == "else" || name == "otherwise":
			hint := "leave it out: a case without when catches all"
			if key == "switch" {
				hint = "write default: beside switch:, with the steps below it"
			}
			p.errorf("misplaced-key", e.Key.Whole, hint, "a case of `%s` has no key %q", key, name)
			return p.stepList(e.Value, "`"+name+"`", mayDoNothing), true
		case isKind(name):
			p.errorf("misplaced-key", e.Key.Whole, "put it into a list below steps:", "a case of `%s` has no key %q", key, name)
			return p.stepList(&Node{Kind: ListNode, Range: item.Range, Items: []*Node{item}}, "`steps`", mustDo), true
		}
	}
	return nil, false
}

func (p *parser) foreach(o fields) Construct {
	o.need("as", "steps")
	f := &Foreach{
		Items:       o.get("foreach"),
		Concurrency: o.integer("concurrency", 1, 1, 1000),
		Steps:       o.steps("steps", mustDo),
		Collect:     o.value("collect"),
	}
	if n := f.Items; n.Kind != ListNode && (n.Kind != TextNode || expressionAt(n.Text.Value) < 0) {
		hint := ""
		if n.Kind == TextNode {
			hint = "write ${" + n.Text.Value + "}"
			if item, list, ok := strings.Cut(n.Text.Value, " in "); ok {
				hint = "write ${" + strings.TrimSpace(list) + "}, and as: " + strings.TrimSpace(item) + " below it"
			}
		}
		if n.Kind != TextNode || strings.Trim(n.Text.Value, "0123456789") == "" {
			hint = "write a list such as [1, 2, 3], or ${inputs.people}"
		}
		p.wrongKind(n, "`foreach`", "a list, or an expression that gives one", hint)
		f.Items = &Node{Kind: ListNode, Range: n.Range}
	}
	if as := o.literal("as"); as != nil {
		f.As = *as
		p.checkID(*as, "the name of an item")
	}
	return f
}

func (p *parser) parallel(o fields) Construct {
	n := o.get("parallel")
	if n.Kind != MapNode {
		p.wrongKind(n, "`parallel`", "a map of branch names to steps", "name each branch: parallel: {mail: [ … ], message: [ … ]}")
		return &Parallel{}
	}
	if len(n.Entries) == 0 {
		p.errorf("empty-list", n.Range, "", "`parallel` has no branches")
	}
	branches := make([]Branch, 0, len(n.Entries))
	for _, e := range n.Entries {
		p.checkID(e.Key, "the name of a branch")
		branches = append(branches, Branch{Name: e.Key, Steps: p.stepList(e.Value, "the branch "+e.Key.Value, mustDo)})
	}
	return &Parallel{Branches: branches}
}

func (p *parser) try(o fields) Construct {
	if o.get("catch") == nil && o.get("finally") == nil {
		p.errorf("missing-key", o.entry("try").Key.Whole, "", `a step with `+"`try`"+` needs "catch" or "finally"`)
	}
	return &Try{
		Steps:   o.steps("try", mustDo),
		Catch:   p.cases(o, "catch", false),
		Finally: o.steps("finally", mustDo),
	}
}

// wait parses wait and wait_until. What their values mean is a matter of types; a
// value of the wrong kind is kept, so that a Wait always has one.
func (p *parser) wait(kind string, o fields) Construct {
	o.text(kind)
	if kind == "wait_until" {
		return &Wait{Until: o.get(kind)}
	}
	return &Wait{For: o.get(kind)}
}

func (p *parser) waitFor(o fields) Construct {
	n, late := o.get("wait_for"), o.get("on_timeout")
	w := &WaitFor{OnTimeout: "fail", Range: o.entry("wait_for").Key.Whole}
	if e := n.Entry("on_timeout"); e != nil && late == nil {
		p.errorf("misplaced-key", e.Key.Whole, "it stands beside `wait_for`", "`wait_for` has no key %q", e.Key.Value)
		inside := *n
		inside.Entries = slices.DeleteFunc(slices.Clone(n.Entries), func(e Entry) bool { return e.Key.Value == "on_timeout" })
		n, o.node, late = &inside, n, e.Value // it is read as if it stood there
	}
	if n.Kind == TextNode {
		p.wrongKind(n, "`wait_for`", "a map", "write {event: "+n.Text.Value+", timeout: 24h}")
	} else if in, ok := p.fields(n, "`wait_for`", "event", "from", "path", "connection", "when", "timeout", "until"); ok {
		in.need("event")
		w.From, w.Path, w.Timeout = in.scalar("from"), in.scalar("path"), in.scalar("timeout")
		if w.Until = in.scalar("until"); w.Until != nil && w.Timeout != nil {
			p.errorf("misplaced-key", in.entry("until").Key.Whole, "keep one of them", "`until` stands beside `timeout`")
		}
		w.Connection = in.connection()
		w.When = in.condition("when")
		if event := in.literal("event"); event != nil {
			w.Event = *event
		}
	}
	switch {
	case late == nil:
	case late.Kind == ListNode:
		w.OnTimeout, w.Steps = "steps", p.stepList(late, "`on_timeout`", mustDo)
	case late.Kind == TextNode:
		w.OnTimeout = o.choice("on_timeout", "fail", "continue")
	default:
		p.wrongKind(late, "`on_timeout`", "fail, continue or a list of steps", "")
	}
	return w
}

func (p *parser) call(o fields) Construct {
	c := &Call{}
	if n := o.get("call"); n.Kind == MapNode {
		p.wrongKind(n, "`call`", "the name of a flow", "write call: other_flow, and beside it with: {…}")
	} else if name := o.literal("call"); name != nil {
		c.Flow = *name
		p.checkID(c.Flow, "the name of a flow")
	}
	c.With, c.WithRange = o.with(nameOr(c.Flow, o.entry("call").Key.Whole))
	return c
}

// nameOr is where a name stands, or a place to point at without one.
func nameOr(name diag.Text, at diag.Range) diag.Range {
	if name.Value == "" {
		return at
	}
	return name.Whole
}

func (p *parser) returnValues(o fields) Construct {
	if n := o.get("return"); n.Kind == NullNode {
		return &Return{}
	}
	return &Return{Values: o.named("return", "an output")}
}

func (p *parser) fail(o fields) Construct {
	n := o.get("fail")
	if n.Kind == TextNode {
		p.wrongKind(n, "`fail`", "a map", "write {code: some_code, message: …}")
		return &Fail{}
	}
	in, ok := p.fields(n, "`fail`", "code", "message")
	if !ok {
		return &Fail{}
	}
	in.need("code", "message")
	return &Fail{Code: in.scalar("code"), Message: in.scalar("message")}
}
