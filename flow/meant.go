package flow

import (
	"slices"
	"strings"

	"facteur/flow/diag"
)

// What is reported is read as it was meant, where that can be told, so that one mistake is
// told once: nothing is missing then, and nothing unknown further down.

// takeMaps are the keys whose value is a map, below which it is easily forgotten to indent.
var takeMaps = [...]string{"with", "set", "wait_for", "retry", "await", "return", "fail",
	"webhook", "schedule", "whatsapp_message", "inputs", "outputs", "concurrency", "parallel"}

// indented returns n with those entries inside a key without a value that stand below it
// and are no keys of n.
func (p *parser) indented(n *Node, known []string) *Node {
	for i, e := range n.Entries {
		if e.Value.Kind != NullNode || e.Value.Text.Value != "" || !slices.Contains(takeMaps[:], e.Key.Value) {
			continue
		}
		end := i + 1
		if end < len(n.Entries) && n.misspells(n.Entries[end].Key.Value, known) {
			continue
		}
		var names []string
		for end < len(n.Entries) && !slices.Contains(known, n.Entries[end].Key.Value) {
			names = append(names, n.Entries[end].Key.Value)
			end++
		}
		if names == nil {
			continue
		}
		p.errorf("not-indented", e.Key.Whole, "indent "+strings.Join(names, ", ")+" further than "+e.Key.Value,
			"`%s` has no value: what belongs to it stands beside it", e.Key.Value)
		inner := &Node{Kind: MapNode, Range: n.Entries[i+1].Key.Whole, Entries: n.Entries[i+1 : end]}
		all := *n
		all.Entries = slices.Concat(n.Entries[:i], []Entry{{e.Key, inner}}, n.Entries[end:])
		return &all
	}
	return n
}

// below returns the step n with what its action or flow takes inside `with`, where it stands
// beside it.
func (p *parser) below(n *Node, known []string) *Node {
	with := n.Entry("with")
	if with != nil && with.Value.Kind != MapNode {
		return n
	}
	isInput := func(e Entry) bool {
		key := e.Key.Value
		if slices.Contains(known, key) || slices.Contains(keysOf(""), key) || diag.NamesSecret(key) || with != nil && with.Value.Get(key) != nil {
			return false
		}
		meant := stepKeyMeant(key)
		return meant == belowWith || meant == "" && with == nil && !n.misspells(key, known)
	}
	inputs, rest := &Node{Kind: MapNode}, *n
	rest.Entries = nil
	var names []string
	for _, e := range n.Entries {
		switch {
		case isInput(e):
			inputs.Entries = append(inputs.Entries, e)
			names = append(names, e.Key.Value)
		case e.Key.Value != "with":
			rest.Entries = append(rest.Entries, e)
		}
	}
	if names == nil {
		return n
	}
	first := inputs.Entries[0].Key
	key := diag.Text{Value: "with", Whole: first.Whole}
	if inputs.Range = first.Whole; with != nil {
		key, inputs.Range = with.Key, with.Value.Range
		inputs.Entries = slices.Concat(with.Value.Entries, inputs.Entries)
	}
	rest.Entries = append(rest.Entries, Entry{key, inputs})
	p.errorf("misplaced-key", first.Whole, "with: {"+strings.Join(names, ": …, ")+": …}", "what the step takes stands inside `with`, not beside it")
	return &rest
}

// misspells tells whether a key of n is likely one of the known that n lacks.
func (n *Node) misspells(key string, known []string) bool {
	near := diag.Suggest(key, known)
	return near != "" && n.Get(near) == nil
}

// renamed returns n with each key that is none of the known under the name of the one that was
// meant, where n lacks that.
func (n *Node) renamed(known []string, meant func(key string, known []string) string) *Node {
	for i, e := range n.Entries {
		if slices.Contains(known, e.Key.Value) {
			continue
		}
		if name := meant(e.Key.Value, known); slices.Contains(known, name) && n.Get(name) == nil {
			all := *n
			all.Entries = slices.Clone(n.Entries)
			all.Entries[i].Key.Value = name
			n = &all
		}
	}
	return n
}

// keyMeant returns the known key that another one stands for, "" for none.
func keyMeant(key string, known []string) string {
	name := ""
	switch key {
	case "if", "condition":
		name = "when"
	case "then", "do":
		name = "steps"
	}
	if slices.Contains(known, name) {
		return name
	}
	return diag.Suggest(key, known)
}

// stepKeyRead returns the key of steps that another one is read as, "" for none.
func stepKeyRead(key string, known []string) string {
	switch key {
	case "when", "condition", "only_if":
		return "if"
	case "except", "rescue", "on_error":
		return "catch"
	case "ensure", "always":
		return "finally"
	case "else":
		return "default"
	case "do", "tasks":
		return "steps"
	}
	if stepKeyMeant(key) != "" || slices.Contains(keysOf(""), key) { // whose hint says something else
		return ""
	}
	return diag.Suggest(key, known)
}
