package plan

import (
	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// value compiles a node that should give a value of type want (nil: any), and checks its
// literals. The result is never nil.
func (c *flowCompiler) value(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	v, _, _ := c.valueOf(n, n.Head(), want, s)
	return v
}

// valueOrNil is value for an optional node.
func (c *flowCompiler) valueOrNil(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	if n == nil {
		return nil
	}
	return c.value(n, want, s)
}

// with compiles the inputs of an action or a flow; at is their range, or that of what needs
// them.
func (c *flowCompiler) with(n *flow.Node, at diag.Range, want *schema.Type, s *expr.Scope) *Value {
	v, _, _ := c.valueOf(orEmpty(n, at), at, want, s)
	return v
}

func orEmpty(n *flow.Node, at diag.Range) *flow.Node {
	if n == nil {
		return &flow.Node{Kind: flow.MapNode, Range: at}
	}
	return n
}

// valueOf is value, and also returns what is known of the value, with schema.Unknown in place
// of each expression, and the violations of its type. What is missing at the top level is
// reported at the given range.
func (c *flowCompiler) valueOf(n *flow.Node, at diag.Range, want *schema.Type, s *expr.Scope) (v *Value, known any, found schema.Violations) {
	v = c.node(n, want, s)
	if want == nil {
		return v.fold(), nil, nil
	}
	c.needsValue(v, n.Range)
	known, found = want.Coerce(v.partial())
	c.violations(found, n, at)
	if v = v.fold(); found.Err() == nil && v.literalOnly() {
		v = &Value{Type: want, literal: known}
	}
	return v, known, found
}

// needsValue reports an optional expression where a value is needed.
func (c *flowCompiler) needsValue(v *Value, at diag.Range) {
	if v.isOptional() {
		c.diags.Errorf("type-mismatch", at, "give a fallback value with .orValue(…)", "this may have no value, but one is required here")
	}
}

// node compiles without checking literals.
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

// broken stands in for an expression that did not compile, so that the rest can be checked.
func broken() *Value {
	return &Value{Type: schema.AnyType, literal: schema.Unknown{Type: schema.AnyType}}
}

func (c *flowCompiler) text(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	p, found := expr.Compile(n.Text, s)
	c.diags.Add(found)
	if c.noteReads(p); p == nil {
		return broken()
	}
	if text, ok := p.Literal(); ok {
		c.bareExpression(n.Text, s)
		return &Value{Type: schema.StringType, literal: text}
	}
	if ok, why := want.Accepts(p.Type()); !ok {
		hint := conversion(want, p.Type())
		if p.Type().Kind == schema.String && want.Kind == schema.Object { // the hint that a literal text would get
			if _, found := want.Coerce(n.Text.Value); len(found) == 1 {
				hint = found[0].Hint
			}
		}
		c.diags.Errorf("type-mismatch", n.Range, hint, "%s", why)
	}
	return &Value{Type: p.Type(), program: p}
}

// noteReads notes what a program reads; nil stands for one that did not compile.
func (c *flowCompiler) noteReads(p *expr.Program) {
	if p == nil {
		c.broken = true
		return
	}
	c.settingsRead.add(p, "settings")
	c.inputsRead.add(p, "inputs")
}

// conversion returns a hint at the function that converts one type to another.
func conversion(want, got *schema.Type) string {
	scalar := got.Kind >= schema.String && got.Kind <= schema.Duration
	switch {
	case !scalar:
		return ""
	case want.Kind == schema.String:
		return "convert it with string(…)"
	case want.Kind == schema.Int && (got.Kind == schema.String || got.Kind == schema.Number):
		return "convert it with int(…)"
	case want.Kind == schema.Number && got.Kind == schema.String:
		return "convert it with double(…)"
	case want.Kind == schema.Bool:
		return "compare it with a value, such as … == \"yes\""
	case want.Kind == schema.Duration && got.Kind == schema.Timestamp:
		return "subtract now() from it; to wait until a time, use wait_until, or until in wait_for"
	case want.Kind == schema.Duration:
		return `convert it with duration(…), e.g. duration("24h")`
	case want.Kind == schema.Timestamp:
		return "convert it with timestamp(…), or declare the input with format: date-time"
	}
	return ""
}

func (c *flowCompiler) list(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	var elem *schema.Type
	if want.Kind == schema.List {
		elem = want.Elem
	}
	v := &Value{isList: true, items: make([]*Value, 0, len(n.Items))}
	for _, item := range n.Items {
		v.items = append(v.items, c.node(item, elem, s))
	}
	if v.Type = want; elem == nil || elem.Kind == schema.Any {
		v.Type = schema.ListOf(commonType(v.items))
	}
	return v
}

func (c *flowCompiler) object(n *flow.Node, want *schema.Type, s *expr.Scope) *Value {
	v := &Value{isMap: true, fields: make([]field, 0, len(n.Entries))}
	for _, e := range n.Entries {
		x := c.node(e.Value, memberOf(want, e.Key.Value, n), s)
		if f := want.Field(e.Key.Value); f != nil && f.Required {
			c.needsValue(x, e.Value.Range)
		}
		v.fields = append(v.fields, field{e.Key.Value, x})
	}
	if want.Kind == schema.Object {
		v.Type = want
		return v
	}
	values := make([]*Value, len(v.fields))
	for i, f := range v.fields {
		values[i] = f.value
	}
	v.Type = &schema.Type{Kind: schema.Object, Fields: make([]*schema.Field, 0, len(v.fields))}
	for _, f := range v.fields {
		v.Type.Fields = append(v.Type.Fields, &schema.Field{Name: f.name, Type: f.value.Type, Required: !f.value.isOptional()})
	}
	if elem := commonType(values); elem.Kind != schema.Any || len(values) == 0 {
		v.Type.Kind, v.Type.Elem = schema.Map, elem
	}
	return v
}

// memberOf returns the type of a key of an object or map of type t, nil if it may hold
// anything. If that depends on another key, n holds its value.
func memberOf(t *schema.Type, key string, n *flow.Node) *schema.Type {
	f := t.Field(key)
	switch {
	case t.Kind == schema.Map:
		return t.Elem
	case t.Kind != schema.Object || f == nil:
		return nil
	case f.Type.Kind != schema.Union:
		return f.Type
	}
	if tag := n.Get(f.Type.Tag); tag != nil {
		return f.Type.Case(tag.Text.Value)
	}
	if tag := t.Field(f.Type.Tag); tag != nil {
		if name, ok := tag.Default.(string); ok {
			return f.Type.Case(name)
		}
	}
	return nil
}

// commonType returns the type that all values have, any if they differ.
func commonType(values []*Value) *schema.Type {
	if len(values) == 0 {
		return schema.AnyType
	}
	first := values[0].Type
	for _, v := range values[1:] {
		if !sameType(first, v.Type) {
			return schema.AnyType
		}
		first = schema.Join(first, v.Type)
	}
	return first
}

// sameType reports whether two types have the same structure; limits do not count.
func sameType(a, b *schema.Type) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case schema.List, schema.Map:
		return sameType(a.Elem, b.Elem)
	case schema.Object:
		if len(a.Fields) != len(b.Fields) || a.Open != b.Open {
			return false
		}
		for _, f := range a.Fields {
			g := b.Field(f.Name)
			if g == nil || !sameType(f.Type, g.Type) {
				return false
			}
		}
	case schema.Union:
		return false
	}
	return true
}
