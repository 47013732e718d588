package flow

import (
	"facteur/flow/diag"
	"facteur/flow/schema"
)

// Coerce converts a node without expressions to a value of a type, and reports each violation
// at its place in the file.
func (n *Node) Coerce(t *schema.Type) (any, diag.List) {
	v, found := t.Coerce(n.Plain(t))
	var list diag.List
	for _, f := range found {
		message := f.Message
		if len(f.Path) > 0 && !f.OnKey {
			message = f.Path.String() + ": " + message
		}
		d := diag.Diagnostic{Code: f.Rule, Range: n.rangeAt(f.Path, f.OnKey), Message: message, Hint: f.Hint, Hidden: f.Hidden}
		if f.Warning {
			d.Severity = diag.Warning
		}
		list = append(list, d)
	}
	return v, list
}
