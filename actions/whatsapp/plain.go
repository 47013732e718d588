package whatsapp

import (
	"maps"
	"slices"
	"strings"

	"facteur/actions"
	"facteur/flow/schema"
)

// deepest bounds how often a text with JSON may hold another.
const deepest = 8

// Plain brings the body of a request into the form that Meta documents, where the Graph API
// takes others as well: a field that is null counts as one that is not given, and where an
// object or a list belongs, a text may hold it as JSON. body is not changed. The findings
// are warnings that tell what stands in another form.
func Plain(body map[string]any) (map[string]any, schema.Violations) {
	if !isLoose(body) {
		return body, nil
	}
	var found schema.Violations
	plain, _ := withoutNulls(body, nil, &found).(map[string]any)
	of, _ := shapeOfBody(plain)
	for range deepest {
		_, wrong := of.Coerce(plain)
		before := len(found)
		for _, w := range wrong {
			text, ok := lookUp(plain, w.Path).(string)
			if !ok || w.Rule != "type" || !looksLikeJSON(text) {
				continue
			}
			if v, err := actions.DecodeJSON([]byte(text)); err == nil {
				found = append(found, schema.Violation{Path: w.Path, Rule: "json-text", Warning: true,
					Message: "is a text that holds JSON, which Meta reads", Hint: "leave out the quotes around it"})
				plain, _ = put(plain, w.Path, withoutNulls(v, w.Path, &found)).(map[string]any)
			}
		}
		if len(found) == before {
			break
		}
	}
	return plain, found
}

// isLoose tells whether there may be anything for Plain to do.
func isLoose(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return looksLikeJSON(v)
	case []any:
		return slices.ContainsFunc(v, isLoose)
	case map[string]any:
		for _, inner := range v {
			if isLoose(inner) {
				return true
			}
		}
	}
	return false
}

func looksLikeJSON(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}

// withoutNulls gives a value at a path without the fields that are null.
func withoutNulls(v any, path schema.Path, found *schema.Violations) any {
	if len(path) > 0 && slices.Contains([]any{"data", "flow_action_data"}, path[len(path)-1]) {
		return v // what a WhatsApp Flow gets, which Meta hands on as it is
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = withoutNulls(inner, append(slices.Clip(path), i), found)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			at := append(slices.Clip(path), name)
			if inner == nil {
				*found = append(*found, schema.Violation{Path: at, Rule: "null-field", Warning: true,
					Message: "is null, which Meta takes as not given", Hint: "leave it out"})
				continue
			}
			out[name] = withoutNulls(inner, at, found)
		}
		return out
	}
	return v
}

// lookUp gives what stands at a path, nil where it leads nowhere.
func lookUp(v any, path schema.Path) any {
	for _, step := range path {
		switch whole := v.(type) {
		case []any:
			i, ok := step.(int)
			if !ok || i >= len(whole) {
				return nil
			}
			v = whole[i]
		default:
			name, _ := step.(string)
			v = get(whole, name)
		}
	}
	return v
}

// put gives a value in which another stands at a path, of which only the end may be new. v
// itself is not changed.
func put(v any, path schema.Path, other any) any {
	if len(path) == 0 {
		return other
	}
	switch whole := v.(type) {
	case []any:
		if i, ok := path[0].(int); ok && i < len(whole) {
			out := slices.Clone(whole)
			out[i] = put(whole[i], path[1:], other)
			return out
		}
	case map[string]any:
		if name, ok := path[0].(string); ok {
			if inner, ok := whole[name]; ok || len(path) == 1 {
				out := maps.Clone(whole)
				out[name] = put(inner, path[1:], other)
				return out
			}
		}
	}
	return v
}
