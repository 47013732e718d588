package whatsapp

import (
	"strings"

	"facteur/flow/schema"
)

// A residual holds the rules that must still be checked at each send, and the path of the
// part of the input that they are on.
type residual struct {
	path  []any
	rules *ruleNode
}

// specializeCheck returns check for inputs that differ from known only where known is
// unknown. Most of a message is written in the flow: rules that read nothing else and find
// nothing are not run again at each send.
func (s *sender) specializeCheck(known schema.Value) func(schema.Value) schema.Violations {
	input, _ := known.Object()
	kind, ok := input["message_type"].(string)
	if !ok {
		return s.check
	}
	whole := ruleTree()[""].specialize(input)
	parts, ok := specializeMessage(nil, kind, input["message"], "message")
	if fallback, there := input["fallback"]; ok && there {
		var object map[string]any
		if object, ok = fallback.(map[string]any); ok {
			parts, ok = specializeMessage(parts, templateType, object["message"], "fallback", "message")
		}
	}
	if !ok {
		return s.check
	}
	return func(in schema.Value) schema.Violations {
		input, _ := in.Object()
		w := newWalker(nil)
		if whole != nil {
			w.checkResidual(input, residual{rules: whole})
		}
		w.found = s.checkRecipient(w.found, input["recipient"])
		for _, p := range parts {
			w.checkResidual(input, p)
		}
		return w.found
	}
}

// specializeMessage appends the residual rules of a message. ok is false where the flow does
// not determine the kind of an interactive message, and so which rules are on it.
func specializeMessage(parts []residual, kind string, message any, path ...any) (_ []residual, ok bool) {
	kind = strings.ToLower(kind)
	on := []string{kind}
	if kind == interactiveType {
		object, _ := message.(map[string]any)
		of, known := object["type"].(string)
		if !known {
			return nil, false
		}
		on = append(on, kind+"/"+strings.ToLower(of))
	}
	for _, on := range on {
		if top := ruleTree()[on].specialize(message); top != nil {
			parts = append(parts, residual{path, top})
		}
	}
	return parts, true
}

// specialize returns the tree without the rules that pass v whatever its unknown parts are;
// nil if no rule is left.
func (p *ruleNode) specialize(v any) *ruleNode {
	if _, unknown := v.(schema.Unknown); unknown || p == nil {
		return p
	}
	left := &ruleNode{}
	for i := range p.rules {
		if !p.rules[i].alwaysPasses(v) {
			left.rules = append(left.rules, p.rules[i])
		}
	}
	some := len(left.rules) > 0
	switch v := v.(type) {
	case map[string]any:
		for _, f := range p.fields {
			if inner, ok := v[f.name]; ok {
				if f.ruleNode = f.specialize(inner); f.ruleNode != nil {
					left.fields, some = append(left.fields, f), true
				}
			}
		}
	case []any:
		for _, inner := range v {
			item := p.elem.specialize(inner)
			left.items, some = append(left.items, item), some || item != nil
		}
	}
	if !some {
		return nil
	}
	return left
}

// alwaysPasses tells whether the rule finds nothing in v and reads none of its unknown parts.
func (r *rule) alwaysPasses(v any) bool {
	var tracker schema.Tracker
	violated := false
	r.check(schema.NewValue(v, &tracker), func(schema.Value, string, ...any) { violated = true })
	return !violated && !tracker.ReadUnknown && !tracker.ReadPartly
}
