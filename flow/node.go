package flow

import "facteur/flow/diag"

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

// A Node is a YAML value with its place. Texts may hold ${…}, which is not parsed yet.
type Node struct {
	Kind    NodeKind
	Range   diag.Range
	Text    diag.Text // of every scalar: the text as decoded, for numbers as written
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
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key.Value == key {
			return e.Value
		}
	}
	return nil
}
