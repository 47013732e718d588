package flow

import (
	"slices"
	"strings"

	"facteur/flow/diag"
)

func (p *parser) set(o object) Construct {
	values := o.bindings("set", "a variable")
	if n := o.get("set"); n.Kind == MapNode && len(n.Entries) == 0 {
		p.errorf("empty-list", n.Range, "", "`set` has no variables")
	}
	return &Set{Values: values}
}

func (p *parser) switchCases(o object) Construct {
	s := &Switch{
		Cases:      p.cases(o, "switch", true),
		Default:    o.steps("default", mayBeEmpty),
		HasDefault: o.get("default") != nil,
	}
	return s
}

// cases parses the list of cases of a key.
func (p *parser) cases(o object, key string, needsWhen bool) []Case {
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
		if steps, ok := p.misplacedCase(item, key); ok {
			cases = append(cases, Case{Steps: steps})
			continue
		}
		c, ok := p.object(item, "a case of "+o.name(key), "when", "steps")
		if !ok {
			continue
		}
		if needsWhen {
			c.require("when")
		}
		c.require("steps")
		cases = append(cases, Case{When: c.condition("when"), Steps: c.steps("steps", mayBeEmpty)})
	}
	return cases
}

// misplacedCase parses what is often written in place of a case of switch or catch: a step, or
// the default.
func (p *parser) misplacedCase(item *Node, key string) (steps []*Step, ok bool) {
	if item.Kind != MapNode || item.Get("when") != nil || item.Get("steps") != nil {
		return nil, false
	}
	for _, e := range item.Entries {
		switch name := e.Key.Value; {
		case name == "default" || name == "else" || name == "otherwise":
			hint := "remove it: a case without when catches everything"
			if key == "switch" {
				hint = "write default: beside switch:, with the steps below it"
			}
			p.errorf("misplaced-key", e.Key.Whole, hint, "a case of `%s` has no key %q", key, name)
			return p.stepList(e.Value, "`"+name+"`", mayBeEmpty), true
		case isKind(name):
			p.errorf("misplaced-key", e.Key.Whole, "put it in the list under steps:", "a case of `%s` has no key %q", key, name)
			return p.stepList(&Node{Kind: ListNode, Range: item.Range, Items: []*Node{item}}, "`steps`", atLeastOne), true
		}
	}
	return nil, false
}

func (p *parser) foreach(o object) Construct {
	o.require("as", "steps")
	f := &Foreach{
		Items:       o.get("foreach"),
		Concurrency: o.integer("concurrency", 1, 1, 1000),
		Steps:       o.steps("steps", atLeastOne),
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

func (p *parser) parallel(o object) Construct {
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
		branches = append(branches, Branch{Name: e.Key, Steps: p.stepList(e.Value, "the branch "+e.Key.Value, atLeastOne)})
	}
	return &Parallel{Branches: branches}
}

func (p *parser) try(o object) Construct {
	if o.get("catch") == nil && o.get("finally") == nil {
		p.errorf("missing-key", o.entry("try").Key.Whole, "", `a step with `+"`try`"+` needs "catch" or "finally"`)
	}
	return &Try{
		Steps:   o.steps("try", atLeastOne),
		Catch:   p.cases(o, "catch", false),
		Finally: o.steps("finally", atLeastOne),
	}
}

// wait parses wait and wait_until. Their values are checked with the types. A value of the
// wrong kind is kept, so that a Wait always has one.
func (p *parser) wait(kind string, o object) Construct {
	o.text(kind)
	if kind == "wait_until" {
		return &Wait{Until: o.get(kind)}
	}
	return &Wait{For: o.get(kind)}
}

func (p *parser) waitFor(o object) Construct {
	n, onTimeout := o.get("wait_for"), o.get("on_timeout")
	w := &WaitFor{OnTimeout: "fail", Range: o.entry("wait_for").Key.Whole}
	if e := n.Entry("on_timeout"); e != nil && onTimeout == nil {
		p.errorf("misplaced-key", e.Key.Whole, "put it beside `wait_for`, not inside it", "`wait_for` has no key %q", e.Key.Value)
		inside := *n
		inside.Entries = slices.DeleteFunc(slices.Clone(n.Entries), func(e Entry) bool { return e.Key.Value == "on_timeout" })
		n, o.node, onTimeout = &inside, n, e.Value // parsed as if it were there
	}
	if n.Kind == TextNode {
		p.wrongKind(n, "`wait_for`", "a map", "write {event: "+n.Text.Value+", timeout: 24h}")
	} else if in, ok := p.object(n, "`wait_for`", "event", "from", "path", "connection", "when", "timeout", "until"); ok {
		in.require("event")
		w.From, w.Path, w.Timeout = in.scalar("from"), in.scalar("path"), in.scalar("timeout")
		if w.Until = in.scalar("until"); w.Until != nil && w.Timeout != nil {
			p.errorf("misplaced-key", in.entry("until").Key.Whole, "remove one of them", "`wait_for` has both `timeout` and `until`")
		}
		w.Connection = in.connection()
		w.When = in.condition("when")
		if event := in.literal("event"); event != nil {
			w.Event = *event
		}
	}
	switch {
	case onTimeout == nil:
	case onTimeout.Kind == ListNode:
		w.OnTimeout, w.Steps = "steps", p.stepList(onTimeout, "`on_timeout`", atLeastOne)
	case onTimeout.Kind == TextNode:
		w.OnTimeout = o.choice("on_timeout", "fail", "continue")
	default:
		p.wrongKind(onTimeout, "`on_timeout`", "fail, continue or a list of steps", "")
	}
	return w
}

func (p *parser) call(o object) Construct {
	c := &Call{}
	if n := o.get("call"); n.Kind == MapNode {
		p.wrongKind(n, "`call`", "the name of a flow", "write call: other_flow, and with: {…} beside it")
	} else if name := o.literal("call"); name != nil {
		c.Flow = *name
		p.checkID(c.Flow, "the name of a flow")
	}
	c.With, c.WithRange = o.with(rangeOr(c.Flow, o.entry("call").Key.Whole))
	return c
}

// rangeOr returns the range of a name, or at if the name is empty.
func rangeOr(name diag.Text, at diag.Range) diag.Range {
	if name.Value == "" {
		return at
	}
	return name.Whole
}

func (p *parser) returnValues(o object) Construct {
	if n := o.get("return"); n.Kind == NullNode {
		return &Return{}
	}
	return &Return{Values: o.bindings("return", "an output")}
}

func (p *parser) fail(o object) Construct {
	n := o.get("fail")
	if n.Kind == TextNode {
		p.wrongKind(n, "`fail`", "a map", "write {code: some_code, message: …}")
		return &Fail{}
	}
	in, ok := p.object(n, "`fail`", "code", "message")
	if !ok {
		return &Fail{}
	}
	in.require("code", "message")
	return &Fail{Code: in.scalar("code"), Message: in.scalar("message")}
}
