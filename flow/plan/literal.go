package plan

import (
	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// value compiles a node that should give a want (nil: anything), and checks what is
// literal in it. The result is never nil.
func (c *flowCompiler) value(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	v := c.node(n, want, s)
	if want != nil {
		_, found := want.Coerce(v.skeleton())
		c.violations(found, n, n.Range)
	}
	return v.fold()
}

// node compiles without looking at what literals hold.
func (c *flowCompiler) node(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	if want == nil {
		want = schema.AnyType
	}
	switch n.Kind {
	case flow.TextNode:
		return c.text(n, want, s)
	case flow.ListNode:
		return c.list(n, want, s)
	case flow.MapNode:
		return c.object(n, want, s)
	case flow.NullNode:
		return &Value{Type: schema.AnyType}
	}
	if want.Kind == schema.String {
		// The text as written: +33612345678 and 012 keep their digits.
		return &Value{Type: schema.StringType, literal: n.Text.Value}
	}
	return &Value{Type: schema.Infer(n.Value), literal: n.Value}
}

// broken stands for an expression that did not compile, so that the rest is checked.
func broken() *Value {
	return &Value{Type: schema.AnyType, literal: schema.Unknown{Type: schema.AnyType}}
}

func (c *flowCompiler) text(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	p, found := expr.Compile(n.Text, s)
	c.diags.Add(found)
	if p == nil {
		return broken()
	}
	if text, ok := p.Literal(); ok {
		return &Value{Type: schema.StringType, literal: text}
	}
	if ok, why := want.Accepts(p.Type()); !ok {
		hint := ""
		switch {
		case want.Kind == schema.String && p.Type().Kind != schema.List && p.Type().Kind != schema.Object && p.Type().Kind != schema.Map:
			hint = "make a text of it with string(…)"
		case want.Kind == schema.Int && p.Type().Kind == schema.String, want.Kind == schema.Int && p.Type().Kind == schema.Number:
			hint = "make an integer of it with int(…)"
		case want.Kind == schema.Duration:
			hint = `make a duration of it with duration(…), e.g. duration("24h")`
		case want.Kind == schema.Timestamp:
			hint = "make a time of it with timestamp(…), or declare the input with format: date-time"
		}
		c.diags.Errorf("type-mismatch", n.Range, hint, "%s", why)
	}
	return &Value{Type: p.Type(), program: p}
}

func (c *flowCompiler) list(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	elem := schema.AnyType
	if want.Kind == schema.List {
		elem = want.Elem
	}
	v := &Value{isList: true}
	for _, item := range n.Items {
		v.items = append(v.items, c.node(item, elem, s))
	}
	v.Type = schema.ListOf(common(v.items))
	return v
}

func (c *flowCompiler) object(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	v := &Value{isMap: true}
	var values []*Value
	for _, e := range n.Entries {
		x := c.node(e.Value, fieldType(n, want, e.Key.Value), s)
		values = append(values, x)
		v.fields = append(v.fields, field{e.Key.Value, x})
	}
	if want.Kind != schema.Object && len(values) > 0 {
		if elem := common(values); elem.Kind != schema.Any {
			v.Type = schema.MapOf(elem)
			return v
		}
	}
	v.Type = &schema.Type{Kind: schema.Object}
	for _, f := range v.fields {
		v.Type.Fields = append(v.Type.Fields, &schema.Field{Name: f.name, Type: f.value.Type, Required: f.value.program == nil || !f.value.program.Optional()})
	}
	return v
}

// fieldType returns what a key of the node should hold, nil when anything may.
func fieldType(n *flow.Node, want *schema.Type, key string) *schema.Type {
	switch want.Kind {
	case schema.Map:
		return want.Elem
	case schema.Object:
		f := want.Field(key)
		if f == nil {
			return nil
		}
		if f.Type.Kind != schema.Union {
			return f.Type
		}
		tag := n.Get(f.Type.Tag)
		if tag == nil || tag.Kind != flow.TextNode {
			return nil
		}
		return f.Type.Case(tag.Text.Value)
	}
	return nil
}

// common returns the one type of all values, any when they differ.
func common(values []*Value) *schema.Type {
	if len(values) == 0 {
		return schema.AnyType
	}
	first := values[0].Type
	for _, v := range values[1:] {
		if !same(first, v.Type) {
			return schema.AnyType
		}
	}
	return first
}

func same(a, b *schema.Type) bool {
	if a == b {
		return true
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case schema.List, schema.Map:
		return same(a.Elem, b.Elem)
	case schema.Object:
		if len(a.Fields) != len(b.Fields) || a.Open != b.Open {
			return false
		}
		for _, f := range a.Fields {
			g := b.Field(f.Name)
			if g == nil || !same(f.Type, g.Type) {
				return false
			}
		}
	case schema.Union:
		return false
	}
	return true
}

// violations reports what a value breaks, at its place under the node. Without a
// place there (a required field that is missing) at is where it is reported.
func (c *flowCompiler) violations(found schema.Violations, n *flow.Node, at diag.Range) {
	for _, v := range found {
		severity := diag.Error
		if v.Warning {
			severity = diag.Warning
		}
		message := v.Message
		if len(v.Path) > 0 {
			message = v.Path.String() + ": " + message
		}
		c.diags = append(c.diags, diag.Diagnostic{
			Severity: severity, Code: v.Rule, Range: locate(n, at, v), Message: message, Hint: v.Hint,
		})
	}
}

func locate(n *flow.Node, at diag.Range, v schema.Violation) diag.Range {
	for i, step := range v.Path {
		if n == nil {
			return at
		}
		switch step := step.(type) {
		case int:
			if n.Kind != flow.ListNode || step >= len(n.Items) {
				return at
			}
			n = n.Items[step]
			at = n.Range
		case string:
			entry := -1
			for k := range n.Entries {
				if n.Entries[k].Key.Value == step {
					entry = k
				}
			}
			if entry < 0 {
				return at
			}
			at = n.Entries[entry].Key.Whole
			n = n.Entries[entry].Value
			if i == len(v.Path)-1 && v.OnKey {
				return at
			}
		}
	}
	if n != nil && n.Kind != flow.MapNode && n.Kind != flow.ListNode {
		return n.Range
	}
	return at
}
