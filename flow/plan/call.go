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
			c.unknownFlow(in.Flow)
		}
		return &CallFlow{}, openObject
	}
	done := c.compiled(callee)
	if done.diags.HasErrors() {
		c.reportCallee(in.Flow, "see "+callee.Source.Name, "the flow %s has errors of its own: %s", in.Flow.Value, done.diags.Err())
	}
	out := &CallFlow{Plan: done.plan}
	out.With = c.flowInputs(in.With, in.WithRange, done.plan.Inputs, s, func(f *schema.Field) {
		c.diags.Errorf("required", in.WithRange, fmt.Sprintf("add it: with: {%s: …}", f.Name), "the flow %s needs the input %q", in.Flow.Value, f.Name)
	})
	maps.Copy(c.plan.Sources, done.plan.Sources)
	maps.Copy(c.settingsRead, done.settingsRead)
	c.plan.Events = append(c.plan.Events, done.plan.Events...)
	c.plan.Connections = append(c.plan.Connections, done.plan.Connections...)
	return out, done.callOutputs
}

func (c *Compiler) find(name string) *flow.Flow {
	if c.lib.Flow == nil {
		return nil
	}
	return c.lib.Flow(name)
}

func (c *flowCompiler) unknownFlow(name diag.Text) {
	switch {
	case name.Value == "": // reported by package flow
	case slices.Contains(c.lib.FlowNames, name.Value):
		c.reportCallee(name, "fix its file first", "the flow %s cannot be read", name.Value)
	default:
		c.diags.Errorf("unknown-flow", name.Whole, diag.DidYouMean(name.Value, "flows", c.lib.FlowNames), "there is no flow %q in this project", name.Value)
	}
}

// reportCallee reports that a called flow has errors, only at the first call of it.
func (c *flowCompiler) reportCallee(name diag.Text, hint, format string, args ...any) {
	if !slices.Contains(c.reportedCallees, name.Value) {
		c.reportedCallees = append(c.reportedCallees, name.Value)
		c.diags.Errorf("called-flow", name.Whole, hint, format, args...)
	}
}

// closesCycle reports whether a call leads back to this flow, and adds the diagnostic. Every
// flow of a cycle gets one, whichever is compiled first.
func (c *flowCompiler) closesCycle(in *flow.Call, callee *flow.Flow) bool {
	path := c.callPath(callee, c.flow.Name.Value, map[string]bool{})
	if path == nil {
		return false
	}
	path = append([]string{c.flow.Name.Value}, path...)
	c.diags.Errorf("call-cycle", in.Flow.Whole, "remove one of the calls: a flow cannot call itself, directly or through other flows", "%s calls itself through this step: %s", c.flow.Name.Value, strings.Join(path, " → "))
	return true
}

// callPath returns the names of the flows on a path of calls from one flow to another, both
// included; nil if there is none.
func (c *Compiler) callPath(from *flow.Flow, to string, seen map[string]bool) []string {
	name := from.Name.Value
	if name == to {
		return []string{name}
	}
	if seen[name] {
		return nil
	}
	seen[name] = true
	var path []string
	visit := func(s *flow.Step) {
		do, ok := s.Do.(*flow.Call)
		if !ok || path != nil {
			return
		}
		if next := c.find(do.Flow.Value); next != nil {
			if rest := c.callPath(next, to, seen); rest != nil {
				path = append([]string{name}, rest...)
			}
		}
	}
	each(from.Steps, visit)
	each(from.OnFailure, visit)
	return path
}
