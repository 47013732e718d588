package plan

import (
	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/schema"
)

// violations reports the violations of a value, each at its place under the node. One without
// a place there, such as a missing field, is reported at what it is missing from; at is the
// range of the whole.
func (c *flowCompiler) violations(found schema.Violations, n *flow.Node, at diag.Range) {
	for _, v := range found {
		if c.lib.Stored && !ofType(v.Rule) {
			continue
		}
		severity := diag.Error
		if v.Warning {
			severity = diag.Warning
		}
		message := v.Message
		switch {
		case v.Rule == "unknown-field" && len(v.Path) == 1:
			message = "there is " + message
		case v.Rule != "unknown-field" && len(v.Path) > 0: // unknown-field messages name the path already
			message = v.Path.String() + ": " + message
		}
		c.diags = append(c.diags, diag.Diagnostic{
			Severity: severity, Code: v.Rule, Range: locate(n, at, v), Message: message, Hint: v.Hint, Hidden: v.Hidden,
		})
	}
}

// ofType reports whether a rule is about the type of a value, and not about a limit.
func ofType(rule string) bool {
	return rule == "type" || rule == "required" || rule == "unknown-field"
}

func locate(n *flow.Node, at diag.Range, v schema.Violation) diag.Range {
	for i, step := range v.Path {
		switch step := step.(type) {
		case int:
			if step >= len(n.Items) {
				return at
			}
			n = n.Items[step]
			at = n.Head()
		case string:
			e := n.Entry(step)
			if e == nil {
				return at
			}
			at = e.Key.Whole
			if n = e.Value; i == len(v.Path)-1 && v.OnKey {
				return at
			}
		}
	}
	if len(v.Path) > 0 && n.Kind != flow.MapNode && n.Kind != flow.ListNode {
		return n.Range
	}
	return at
}

// replaceInvalid puts schema.Unknown in place of each part of v that its type refused, so that
// the action's checks do not report it again but still check the rest. It changes v, and
// returns it.
func replaceInvalid(t *schema.Type, v any, found schema.Violations) any {
	for _, violation := range found {
		switch {
		case violation.Warning:
		case violation.Rule == "required":
			v = replace(t, v, violation.Path, addMissing)
		case violation.MeantField != "":
			v = replace(t, v, violation.Path[:len(violation.Path)-1], func(_ *schema.Type, v any) any {
				if object, ok := v.(map[string]any); ok && object[violation.MeantField] == nil {
					object[violation.MeantField] = unknown
				}
				return v
			})
		default:
			v = replace(t, v, violation.Path, func(*schema.Type, any) any { return unknown })
		}
	}
	return v
}

var unknown = schema.Unknown{Type: schema.AnyType}

func addMissing(t *schema.Type, v any) any {
	object, ok := v.(map[string]any)
	if !ok || t == nil {
		return unknown
	}
	for _, f := range t.Fields {
		if _, there := object[f.Name]; f.Required && !there {
			object[f.Name] = unknown
		}
	}
	return object
}

// replace changes the part of v at a path. t is the type of v, nil if unknown.
func replace(t *schema.Type, v any, path schema.Path, by func(*schema.Type, any) any) any {
	if len(path) == 0 {
		return by(t, v)
	}
	switch whole := v.(type) {
	case []any:
		if i, ok := path[0].(int); ok && i < len(whole) {
			whole[i] = replace(elem(t), whole[i], path[1:], by)
		}
	case map[string]any:
		if name, ok := path[0].(string); ok {
			whole[name] = replace(member(t, whole, name), whole[name], path[1:], by)
		}
	}
	return v
}

func elem(t *schema.Type) *schema.Type {
	if t == nil {
		return nil
	}
	return t.Elem
}

func member(t *schema.Type, object map[string]any, name string) *schema.Type {
	if t == nil || t.Kind == schema.Map {
		return elem(t)
	}
	f := t.Field(name)
	if f == nil {
		return nil
	}
	if f.Type.Kind == schema.Union {
		tag, _ := object[f.Type.Tag].(string)
		return f.Type.Case(tag)
	}
	return f.Type
}
