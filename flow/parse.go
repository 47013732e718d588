package flow

import (
	"fmt"
	"strings"

	"facteur/flow/diag"
)

// Limits of a file.
const (
	maxBytes = 1 << 20
	maxDepth = 100
	maxNodes = 100_000 // with every alias expanded
	maxSteps = 1000

	maxCollected = 1000 // diagnostics
	maxReported  = 200
)

// Parse parses a flow. It returns what it understood even if the diagnostics hold errors, so
// that later stages can report more: parts with an error are then missing or zero. The flow is
// nil only if nothing could be parsed. The text must not change afterwards.
func Parse(name string, text []byte) (*Flow, diag.List) {
	root, source, diags := readDocument(name, text)
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

// NameOf returns the name of a flow that cannot be parsed, from the first line that begins
// with "flow:"; "" if there is none.
func NameOf(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "flow:"); ok {
			name, _, _ := strings.Cut(rest, " #")
			return strings.Trim(name, " \t\r\n\"'")
		}
	}
	return ""
}

// ParseValue parses any YAML file with the same checks and limits; the caller interprets the
// values. The node is nil if nothing could be parsed.
func ParseValue(name string, text []byte) (*Node, diag.List) {
	root, _, diags := readDocument(name, text)
	return root, finish(diags)
}

// finish sorts the diagnostics, and truncates the list to maxReported.
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

// A parser converts nodes to a flow.
type parser struct {
	diags diag.List
	ids   map[string]diag.Text // of the steps so far
	steps int
}

// errorf reports an error, up to maxCollected.
func (p *parser) errorf(code string, at diag.Range, hint, format string, args ...any) {
	if len(p.diags) < maxCollected {
		p.diags.Errorf(code, at, hint, format, args...)
	}
}

func (p *parser) flow(root *Node) *Flow {
	rest := *root
	rest.Entries = nil
	for _, e := range root.Entries {
		if e.Key.Value != "channel" && e.Key.Value != "purpose" {
			rest.Entries = append(rest.Entries, e)
			continue
		}
		p.errorf("reserved-key", e.Key.Whole, "remove it; a later version will give it a meaning",
			"the key %q is reserved", e.Key.Value)
	}
	o, ok := p.object(&rest, "a flow", "flow", "description", "inputs", "steps", "outputs",
		"on_failure", "triggers", "timeout", "concurrency")
	if !ok {
		return nil
	}
	f := &Flow{
		Description: o.description(),
		Inputs:      p.inputs(o.get("inputs")),
		Steps:       o.steps("steps", atLeastOne),
		Outputs:     o.bindings("outputs", "an output"),
		OnFailure:   o.steps("on_failure", atLeastOne),
		Triggers:    p.triggers(o.get("triggers")),
		Timeout:     o.duration("timeout"),
		Concurrency: p.concurrency(o.get("concurrency")),
	}
	o.require("steps")
	if name := o.literal("flow"); name != nil {
		f.Name = *name
		p.checkID(f.Name, "the name of a flow")
	}
	o.require("flow")
	return f
}
