package plan

import (
	"fmt"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// flowInputs compiles the values that a call or a trigger gives a flow's inputs. It calls
// missing for each required input that is not given.
func (c *flowCompiler) flowInputs(n *flow.Node, at diag.Range, want *schema.Type, s *expr.Scope, missing func(*schema.Field)) *Value {
	if n != nil && n.Kind != flow.MapNode {
		return c.with(n, at, want, s)
	}
	relaxed := *want
	relaxed.Fields = slices.Clone(want.Fields)
	for i, f := range want.Fields {
		if !f.Required || f.Default != nil || n.Get(f.Name) != nil {
			continue
		}
		if !isMisspelt(n, f.Name, want) {
			missing(f)
		}
		optional := *f
		optional.Required = false
		relaxed.Fields[i] = &optional
	}
	return c.with(n, at, &relaxed, s)
}

// isMisspelt reports whether an input is probably given under a wrong name, which gets a
// diagnostic of its own.
func isMisspelt(n *flow.Node, name string, want *schema.Type) bool {
	return n != nil && slices.ContainsFunc(n.Entries, func(e flow.Entry) bool {
		return want.Field(e.Key.Value) == nil && diag.Suggest(e.Key.Value, want.Names()) == name
	})
}

// missingTriggerInput returns a function that reports an input which a trigger does not give.
func (c *flowCompiler) missingTriggerInput(kind string, at diag.Range) func(*schema.Field) {
	return func(f *schema.Field) {
		value := "VALUE"
		switch {
		case kind == "webhook":
			value = fmt.Sprintf("${event.body.%s}", f.Name)
		case kind == "whatsapp_message" && f.Type.Format == "e164":
			value = "${event.from}"
		case kind == "whatsapp_message" && f.Type.Kind == schema.String:
			value = "${event.text}"
		}
		c.diags.Errorf("required", at,
			fmt.Sprintf("add it to the trigger's inputs, such as inputs: {%s: %q}, or give the input a default", f.Name, value),
			"the %s trigger starts %s without its input %q", kind, c.flow.Name.Value, f.Name)
	}
}
