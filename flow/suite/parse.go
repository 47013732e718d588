package suite

import (
	"maps"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/local"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/flow/schema"
)

// Load parses a test file and checks it against the library: the flow and the steps exist, the
// events fit it, the assertions type-check. It returns nil if the diagnostics hold an error.
// Files that it names are read by Run, which also reports inputs that do not fit the flow.
func Load(name string, text []byte, lib plan.Library) (*File, diag.List) {
	root, diags := flow.ParseValue(name, text)
	if root == nil {
		return nil, diags
	}
	l := &loader{lib: lib, diags: diags}
	f := l.file(name, root)
	l.diags.Sort()
	if l.diags.HasErrors() {
		return nil, l.diags
	}
	return f, l.diags
}

// A loader converts the nodes of a test file to cases.
type loader struct {
	lib   plan.Library
	flow  *flow.Flow
	plan  *plan.Plan // of the flow, with the library's settings
	diags diag.List
}

func (l *loader) file(name string, root *flow.Node) *File {
	root = listCrashes(root)
	_, found := root.Coerce(fileType())
	l.diags.Add(found)
	f := &File{Name: name, catalog: l.lib.Catalog}
	if n := root.Get("flow"); n != nil {
		f.Flow = n.Text.Value
		l.plan = l.compile(n)
		f.Plan = l.plan
	}
	cases := root.Get("cases")
	if cases == nil {
		return f
	}
	names := map[string]bool{}
	for _, n := range cases.Items {
		c := l.testCase(n)
		if c == nil {
			continue
		}
		if names[c.Name] {
			l.diags.Errorf("duplicate-case", c.Range, "give each case its own name", "there is already a case %q", c.Name)
		}
		names[c.Name] = true
		f.Cases = append(f.Cases, c)
	}
	return f
}

// listCrashes wraps the crash of each case in a list.
func listCrashes(root *flow.Node) *flow.Node {
	cases := root.Get("cases")
	if cases == nil {
		return root
	}
	items := make([]*flow.Node, len(cases.Items))
	for i, n := range cases.Items {
		items[i] = n
		if crash := n.Get("crash"); crash != nil && crash.Kind == flow.MapNode {
			items[i] = replace(n, "crash", &flow.Node{Kind: flow.ListNode, Range: crash.Range, Items: []*flow.Node{crash}})
		}
	}
	list := *cases
	list.Items = items
	return replace(root, "cases", &list)
}

// replace returns a copy of a map with another value of a key.
func replace(n *flow.Node, key string, value *flow.Node) *flow.Node {
	out := *n
	out.Entries = slices.Clone(n.Entries)
	for i := range out.Entries {
		if out.Entries[i].Key.Value == key {
			out.Entries[i].Value = value
		}
	}
	return &out
}

// without returns a copy of a map without some keys.
func without(n *flow.Node, keys ...string) *flow.Node {
	out := *n
	out.Entries = slices.DeleteFunc(slices.Clone(n.Entries), func(e flow.Entry) bool {
		return slices.Contains(keys, e.Key.Value)
	})
	return &out
}

// compile compiles the flow that the node names; nil if it cannot.
func (l *loader) compile(n *flow.Node) *plan.Plan {
	name := n.Text.Value
	if l.lib.Flow != nil {
		l.flow = l.lib.Flow(name)
	}
	switch {
	case l.flow != nil:
	case slices.Contains(l.lib.FlowNames, name):
		l.diags.Errorf("broken-flow", n.Range, "run facteur validate", "the flow %s cannot be read", name)
		return nil
	default:
		l.diags.Errorf("unknown-flow", n.Range, diag.DidYouMean(name, "flows", l.lib.FlowNames), "there is no flow %q in this project", name)
		return nil
	}
	p, found := plan.Compile(l.flow, l.lib)
	if err := found.Err(); err != nil {
		l.diags.Errorf("broken-flow", n.Range, "run facteur validate "+l.flow.Source.Name, "the flow %s has errors: %s", name, err)
	}
	return p
}

// withSettings compiles the flow with the settings of a case.
func (l *loader) withSettings(n *flow.Node, settings map[string]any) *plan.Plan {
	if l.plan == nil || n == nil {
		return l.plan
	}
	lib := l.lib
	lib.Settings = maps.Clone(l.lib.Settings)
	if lib.Settings == nil {
		lib.Settings = map[string]any{}
	}
	maps.Copy(lib.Settings, settings)
	p, found := plan.Compile(l.flow, lib)
	if err := found.Err(); err != nil {
		l.diags.Errorf("broken-flow", n.Range, "", "with these settings, the flow has errors: %s", err)
	}
	return p
}

// testCase parses one case; nil if its shape is invalid.
func (l *loader) testCase(n *flow.Node) *Case {
	// Violations of its shape have been reported with the file.
	v, found := n.Coerce(caseType())
	var shape caseShape
	if found.HasErrors() || schema.Decode(v, &shape) != nil {
		return nil
	}
	c := &Case{
		Name: shape.Name, Range: n.Get("name").Range, now: shape.Now.UTC(), random: shape.Random,
		env:      Environment{Connections: shape.Connections, Window: shape.Window},
		firstKey: n.Entries[0].Key.Whole, hasExchanges: n.Get("exchanges") != nil,
	}
	c.plan = l.withSettings(n.Get("settings"), shape.Settings)
	var more diag.List
	c.exchanges, more = record.ParseNode(n.Get("exchanges"))
	l.diags.Add(more)
	if recording := n.Get("recording"); recording != nil {
		c.recording = recording.Text
		if both := n.Get("exchanges"); both != nil {
			l.conflict(both.Range, "exchanges", "recording")
		}
	}
	expect := n.Get("expect")
	c.expect = l.expectation(expect, shape.Expect)
	if c.plan == nil {
		return c
	}
	l.start(c, n)
	l.connections(n.Get("connections"), c.plan)
	l.diags.Add(checkSteps(c.exchanges, c.plan))
	feed := feedBuilder{catalog: l.lib.Catalog, plan: c.plan, now: c.now}
	c.feed = feed.list(n.Get("events"))
	l.diags.Add(feed.diags)
	for i, k := range shape.Holds {
		at := n.Get("holds").Items[i]
		c.holds = append(c.holds, hold{k.Step, k.Attempt, k.For, at.Range})
		l.requireAction(at.Get("step"), c, "could be held back")
	}
	for i, k := range shape.Crash {
		at := n.Get("crash").Items[i]
		c.crashes = append(c.crashes, crash{k.Step, k.Attempt, local.Point(k.Point), at.Range})
		l.requireAction(at.Get("step"), c, "the host could crash in")
	}
	l.checkExpectation(c)
	return c
}

// requireAction reports a step that makes no calls.
func (l *loader) requireAction(step *flow.Node, c *Case, what string) {
	l.diags.Add(checkStep(step.Text, c.plan))
	if s := stepsOf(c.plan)[idOf(step.Text.Value)]; s != nil && s.Kind != "action" {
		l.diags.Errorf("not-an-action", step.Range, "name the step of an action", "the step %s makes no call that %s", step.Text.Value, what)
	}
}

func (l *loader) conflict(at diag.Range, a, b string) {
	l.diags.Errorf("test-conflict", at, "keep one of them", "%q and %q exclude each other", a, b)
}

// connections warns about connections that the flow does not use.
func (l *loader) connections(n *flow.Node, p *plan.Plan) {
	if n == nil {
		return
	}
	for _, e := range n.Entries {
		if !slices.Contains(p.Connections, e.Key.Value) {
			l.diags.Warnf("unused-connection", e.Key.Whole, diag.DidYouMean(e.Key.Value, "connections", p.Connections),
				"the flow has no connection %q", e.Key.Value)
		}
	}
}
