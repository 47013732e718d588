package flow

import (
	"slices"
	"strings"

	"facteur/flow/diag"
)

// Error recovery: after a diagnostic, parsing continues with what was probably meant, so that
// one mistake does not lead to further diagnostics about missing or unknown keys.

// mapKeys are the keys whose value is a map, below which indentation is easily forgotten.
var mapKeys = [...]string{"with", "set", "wait_for", "retry", "await", "return", "fail",
	"webhook", "schedule", "whatsapp_message", "inputs", "outputs", "concurrency", "parallel"}

// recoverIndent returns n with entries that are not keys of n moved into the preceding key, if
// that has no value.
func (p *parser) recoverIndent(n *Node, known []string) *Node {
	for i, e := range n.Entries {
		if e.Value.Kind != NullNode || e.Value.Text.Value != "" || !slices.Contains(mapKeys[:], e.Key.Value) {
			continue
		}
		end := i + 1
		if end < len(n.Entries) && n.isMisspelling(n.Entries[end].Key.Value, known) {
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
			"`%s` has no value, because the lines that belong to it are not indented", e.Key.Value)
		inner := &Node{Kind: MapNode, Range: n.Entries[i+1].Key.Whole, Entries: n.Entries[i+1 : end]}
		all := *n
		all.Entries = slices.Concat(n.Entries[:i], []Entry{{e.Key, inner}}, n.Entries[end:])
		return &all
	}
	return n
}

// recoverWith returns the step n with inputs that are written beside `with` moved into it.
func (p *parser) recoverWith(n *Node, known []string) *Node {
	with := n.Entry("with")
	if with != nil && with.Value.Kind != MapNode {
		return n
	}
	isInput := func(e Entry) bool {
		key := e.Key.Value
		if slices.Contains(known, key) || goesWith("", key) || diag.NamesSecret(key) || with != nil && with.Value.Get(key) != nil {
			return false
		}
		meant := stepKeyHint(key)
		return meant == withHint || meant == "" && with == nil && !n.isMisspelling(key, known)
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
	inputs.Range = first.Whole
	if with != nil {
		key, inputs.Range = with.Key, with.Value.Range
		inputs.Entries = slices.Concat(with.Value.Entries, inputs.Entries)
	}
	rest.Entries = append(rest.Entries, Entry{key, inputs})
	p.errorf("misplaced-key", first.Whole, "write with: {"+strings.Join(names, ": …, ")+": …}", "the inputs of the step belong inside `with`, not beside it")
	return &rest
}

// isMisspelling reports whether a key of n is probably one of the known keys that n lacks.
func (n *Node) isMisspelling(key string, known []string) bool {
	near := diag.Suggest(key, known)
	return near != "" && n.Get(near) == nil
}

// renameKeys returns n with unknown keys replaced by the intended ones that n lacks.
func (n *Node) renameKeys(known []string, intended func(key string, known []string) string) *Node {
	for i, e := range n.Entries {
		if slices.Contains(known, e.Key.Value) {
			continue
		}
		if name := intended(e.Key.Value, known); slices.Contains(known, name) && n.Get(name) == nil {
			all := *n
			all.Entries = slices.Clone(n.Entries)
			all.Entries[i].Key.Value = name
			n = &all
		}
	}
	return n
}

// intendedKey returns the known key that is probably meant, "" for none.
func intendedKey(key string, known []string) string {
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

// intendedStepKey returns the key of steps that is probably meant, "" for none.
func intendedStepKey(key string, known []string) string {
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
	if stepKeyHint(key) != "" || slices.Contains(keysOf(""), key) { // these have a hint of their own
		return ""
	}
	return diag.Suggest(key, known)
}
