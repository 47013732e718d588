package whatsapp

import (
	"strings"

	"facteur/flow/schema"
)

// A remainder is something with rules that are left to be asked, and where in an input it stands.
type remainder struct {
	path []any
	top  *spot
}

// rest is check for inputs like this one, which differ only in what is unknown in it. Most of
// a message stands in the flow: the rules that are about nothing else, and have nothing
// against it, are not asked again at each send.
func (s *sender) rest(known schema.Value) func(schema.Value) schema.Violations {
	input, _ := known.Object()
	kind, ok := input["message_type"].(string)
	if !ok {
		return s.check
	}
	whole := rulebook()[""].rest(input)
	parts, ok := restOf(nil, kind, input["message"], "message")
	if fallback, there := input["fallback"]; ok && there {
		var object map[string]any
		if object, ok = fallback.(map[string]any); ok {
			parts, ok = restOf(parts, templateType, object["message"], "fallback", "message")
		}
	}
	if !ok {
		return s.check
	}
	return func(in schema.Value) schema.Violations {
		input, _ := in.Object()
		w := newWalk(nil)
		if whole != nil {
			w.at(input, remainder{top: whole})
		}
		w.found = s.recipient(w.found, input["recipient"])
		for _, p := range parts {
			w.at(input, p)
		}
		return w.found
	}
}

// restOf adds what is left to be asked about the object of a message type. ok is false where
// it is not known which rules these are.
func restOf(parts []remainder, kind string, message any, path ...any) (_ []remainder, ok bool) {
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
		if top := rulebook()[on].rest(message); top != nil {
			parts = append(parts, remainder{path, top})
		}
	}
	return parts, true
}

// rest is the spot without the rules that are settled; nil where none is left.
func (p *spot) rest(v any) *spot {
	if _, unknown := v.(schema.Unknown); unknown || p == nil {
		return p
	}
	left := &spot{}
	for i := range p.rules {
		if !p.rules[i].settled(v) {
			left.rules = append(left.rules, p.rules[i])
		}
	}
	some := len(left.rules) > 0
	switch v := v.(type) {
	case map[string]any:
		for _, f := range p.fields {
			if inner, ok := v[f.name]; ok {
				if f.spot = f.rest(inner); f.spot != nil {
					left.fields, some = append(left.fields, f), true
				}
			}
		}
	case []any:
		for _, inner := range v {
			item := p.each.rest(inner)
			left.items, some = append(left.items, item), some || item != nil
		}
	}
	if !some {
		return nil
	}
	return left
}

// settled tells whether a rule has nothing against a value, whatever its unknown parts are.
func (r *rule) settled(v any) bool {
	var watch schema.Tracker
	said := false
	r.check(schema.NewValue(v, &watch), func(schema.Value, string, ...any) { said = true })
	return !said && !watch.ReadUnknown && !watch.ReadPartly
}
