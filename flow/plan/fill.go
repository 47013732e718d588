package plan

import (
	"fmt"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// fill compiles what gives a flow its inputs. An input that must be given and is not is
// handed to missing, which says who should give it.
func (c *flowCompiler) fill(n *flow.Node, at diag.Range, want *schema.Type, s *expr.Scope, missing func(*schema.Field)) *Value {
	if n != nil && n.Kind != flow.MapNode {
		return c.with(n, at, want, s)
	}
	asked := *want
	asked.Fields = slices.Clone(want.Fields)
	for i, f := range want.Fields {
		if !f.Required || f.Default != nil || n.Get(f.Name) != nil {
			continue
		}
		if !misspelt(n, f.Name, want) {
			missing(f)
		}
		told := *f
		told.Required = false
		asked.Fields[i] = &told
	}
	return c.with(n, at, &asked, s)
}

// misspelt tells whether an input that is not given is likely there under another name, which
// is reported.
func misspelt(n *flow.Node, name string, want *schema.Type) bool {
	return n != nil && slices.ContainsFunc(n.Entries, func(e flow.Entry) bool {
		return want.Field(e.Key.Value) == nil && diag.Suggest(e.Key.Value, want.Names()) == name
	})
}

// missingOf says that a trigger does not give an input that the flow needs.
func (c *flowCompiler) missingOf(kind string, at diag.Range) func(*schema.Field) {
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
