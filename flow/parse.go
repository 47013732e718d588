package flow

import (
	"fmt"
	"strings"

	"facteur/flow/diag"
)

// The limits of a file.
const (
	maxBytes = 1 << 20
	maxDepth = 100
	maxNodes = 100_000 // with every alias expanded
	maxSteps = 1000

	maxCollected = 1000 // diagnostics
	maxReported  = 200
)

// Parse reads a flow. It returns what it understood also when the diagnostics hold
// errors, so that later stages can report more: parts that an error was reported for
// are then missing or zero. The flow is nil only when there is nothing to go on.
// The text must not change afterwards.
func Parse(name string, text []byte) (*Flow, diag.List) {
	root, source, diags := read(name, text)
	if root == nil {
		return nil, finish(diags)
	}
	p := &parser{diags: diags, ids: map[string]diag.Text{}}
	f := p.flow(root)
	if f != nil {
		f.Source = source
	}
	return f, finish(p.diags)
}

// NameOf returns the name that a flow which cannot be read would have, as the first
// line that begins with "flow:" says it; "" when there is none.
func NameOf(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "flow:"); ok {
			name, _, _ := strings.Cut(rest, " #")
			return strings.Trim(name, " \t\r\n\"'")
		}
	}
	return ""
}

// ParseValue reads any YAML file with the same care and limits; what the values mean
// is the caller's concern. The node is nil when there is nothing to go on.
func ParseValue(name string, text []byte) (*Node, diag.List) {
	root, _, diags := read(name, text)
	return root, finish(diags)
}

// finish sorts the diagnostics, and cuts a list that nobody would read to its end.
func finish(diags diag.List) diag.List {
	diags.Sort()
	if len(diags) > maxReported {
		more := len(diags) - maxReported
		diags = diags[:maxReported]
		last := &diags[maxReported-1]
		last.Hint = joinHints(last.Hint, fmt.Sprintf("%d more are not shown", more))
	}
	return diags
}

func joinHints(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// A parser turns nodes into a flow.
type parser struct {
	diags diag.List
	ids   map[string]diag.Text // of the steps so far
	steps int
}

// errorf reports an error, unless there are more than anybody reads already.
func (p *parser) errorf(code string, at diag.Range, hint, format string, args ...any) {
	if len(p.diags) < maxCollected {
		p.diags.Errorf(code, at, hint, format, args...)
	}
}

func (p *parser) flow(root *Node) *Flow {
	free := *root
	free.Entries = nil
	for _, e := range root.Entries {
		if e.Key.Value != "channel" && e.Key.Value != "purpose" {
			free.Entries = append(free.Entries, e)
			continue
		}
		p.errorf("reserved-key", e.Key.Whole, "remove it; it will be given a meaning in a later version",
			"the key %q is reserved", e.Key.Value)
	}
	o, ok := p.fields(&free, "a flow", "flow", "description", "inputs", "steps", "outputs",
		"on_failure", "triggers", "timeout", "concurrency")
	if !ok {
		return nil
	}
	f := &Flow{
		Description: o.description(),
		Inputs:      p.inputs(o.get("inputs")),
		Steps:       o.steps("steps", mustDo),
		Outputs:     o.named("outputs", "an output"),
		OnFailure:   o.steps("on_failure", mustDo),
		Triggers:    p.triggers(o.get("triggers")),
		Timeout:     o.duration("timeout"),
		Concurrency: p.concurrency(o.get("concurrency")),
	}
	o.need("steps")
	if name := o.literal("flow"); name != nil {
		f.Name = *name
		p.checkID(f.Name, "the name of a flow")
	}
	o.need("flow")
	return f
}
