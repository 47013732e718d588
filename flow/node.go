package flow

import (
	"facteur/flow/diag"
	"facteur/flow/schema"
)

// NodeKind is the kind of a YAML value.
type NodeKind uint8

// The kinds of a node.
const (
	NullNode NodeKind = iota
	BoolNode
	IntNode
	FloatNode
	TextNode
	ListNode
	MapNode
)

var nodeKindNames = [...]string{"null", "boolean", "integer", "number", "text", "list", "map"}

func (k NodeKind) String() string { return nodeKindNames[k] }

// Noun returns the kind as used in a sentence: "a list", "text".
func (k NodeKind) Noun() string {
	switch k {
	case NullNode, TextNode:
		return k.String()
	case IntNode:
		return "an integer"
	}
	return "a " + k.String()
}

// A Node is a YAML value with its position. Texts may contain ${…}, which is not parsed yet.
type Node struct {
	Kind    NodeKind
	Range   diag.Range
	Text    diag.Text // of scalars: the decoded text, of numbers as written
	Value   any       // of scalars: nil, bool, int64, float64 or string
	Items   []*Node   // of a list
	Entries []Entry   // of a map, in the order of the file, keys unique
}

// An Entry is one key and value of a map.
type Entry struct {
	Key   diag.Text
	Value *Node
}

// Get returns the value of a map's key, or nil.
func (n *Node) Get(key string) *Node {
	if e := n.Entry(key); e != nil {
		return e.Value
	}
	return nil
}

// Entry returns the entry of a map's key, or nil.
func (n *Node) Entry(key string) *Entry {
	if n == nil {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key.Value == key {
			return &n.Entries[i]
		}
	}
	return nil
}

// Head is the range to point at: all of a scalar, the first key or the bracket of a list or
// map.
func (n *Node) Head() diag.Range {
	switch {
	case n.Kind == MapNode && len(n.Entries) > 0 && n.Range.Start == n.Entries[0].Key.Whole.Start:
		return n.Entries[0].Key.Whole
	case n.Kind == MapNode, n.Kind == ListNode:
		return n.Range.First()
	}
	return n.Range
}

// Plain converts the value to plain Go values (map[string]any, []any) for a place of type t;
// nil means any. Where t is a string, scalars keep their text as written, so that 012 and
// +33612345678 keep their digits.
func (n *Node) Plain(t *schema.Type) any {
	if t == nil {
		t = schema.AnyType
	}
	switch n.Kind {
	case ListNode:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Plain(t.Elem)
		}
		return list
	case MapNode:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			of := t.Elem
			if f := t.Field(e.Key.Value); f != nil {
				of = f.Type
			}
			m[e.Key.Value] = e.Value.Plain(of)
		}
		return m
	case NullNode:
		return nil
	}
	switch t.Kind {
	case schema.String, schema.Timestamp, schema.Duration:
		return n.Text.Value
	}
	return n.Value
}
