package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

func (c *flowCompiler) call(in *flow.Call, s *expr.Scope) (Construct, *schema.Type) {
	callee := c.find(in.Flow.Value)
	if callee == nil || c.closesCycle(in, callee) {
		c.valueOrNil(in.With, nil, s)
		if callee == nil {
			c.noFlow(in.Flow)
		}
		return &CallFlow{}, openObject
	}
	done := c.compiled(callee)
	if done.diags.HasErrors() {
		c.blame(in.Flow, "see "+callee.Source.Name, "the flow %s has mistakes of its own: %s", in.Flow.Value, done.diags.Err())
	}
	out := &CallFlow{Plan: done.plan}
	out.With = c.fill(in.With, in.WithRange, done.plan.Inputs, s, func(f *schema.Field) {
		c.diags.Errorf("required", in.WithRange, fmt.Sprintf("with: {%s: …}", f.Name), "the flow %s needs the input %q", in.Flow.Value, f.Name)
	})
	maps.Copy(c.plan.Sources, done.plan.Sources)
	c.reads.join(&done.settings)
	c.plan.Events = append(c.plan.Events, done.plan.Events...)
	c.plan.Connections = append(c.plan.Connections, done.plan.Connections...)
	return out, done.gives
}

func (c *Compiler) find(name string) *flow.Flow {
	if c.lib.Flow == nil {
		return nil
	}
	return c.lib.Flow(name)
}

func (c *flowCompiler) noFlow(name diag.Text) {
	switch {
	case name.Value == "": // package flow said so
	case slices.Contains(c.lib.FlowNames, name.Value):
		c.blame(name, "mend it first", "the flow %s cannot be read", name.Value)
	default:
		c.diags.Errorf("unknown-flow", name.Whole, diag.DidYouMean(name.Value, "flows", c.lib.FlowNames), "there is no flow %q in this project", name.Value)
	}
}

// blame reports, at the first call of it, that a flow has mistakes.
func (c *flowCompiler) blame(name diag.Text, hint, format string, args ...any) {
	if !slices.Contains(c.blamed, name.Value) {
		c.blamed = append(c.blamed, name.Value)
		c.diags.Errorf("called-flow", name.Whole, hint, format, args...)
	}
}

// closesCycle reports a call that leads back to this flow. Every flow of a cycle gets
// the report, whichever is compiled first.
func (c *flowCompiler) closesCycle(in *flow.Call, callee *flow.Flow) bool {
	way := c.way(callee, c.flow.Name.Value, map[string]bool{})
	if way == nil {
		return false
	}
	way = append([]string{c.flow.Name.Value}, way...)
	c.diags.Errorf("call-cycle", in.Flow.Whole, "a flow cannot call itself, not even through others", "%s calls itself through this step: %s", c.flow.Name.Value, strings.Join(way, " → "))
	return true
}

// way returns the names of the flows on a way of calls from one flow to another, both
// included; nil when there is none.
func (c *Compiler) way(from *flow.Flow, to string, seen map[string]bool) []string {
	name := from.Name.Value
	if name == to {
		return []string{name}
	}
	if seen[name] {
		return nil
	}
	seen[name] = true
	var way []string
	visit := func(s *flow.Step) {
		do, ok := s.Do.(*flow.Call)
		if !ok || way != nil {
			return
		}
		if next := c.find(do.Flow.Value); next != nil {
			if rest := c.way(next, to, seen); rest != nil {
				way = append([]string{name}, rest...)
			}
		}
	}
	each(from.Steps, visit)
	each(from.OnFailure, visit)
	return way
}
