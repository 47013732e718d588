package whatsapp

import (
	"maps"
	"slices"
	"strings"

	"facteur/actions"
	"facteur/flow/schema"
)

// maxNesting bounds how deep texts that hold JSON may nest.
const maxNesting = 8

// Normalize brings the body of a request into the form that Meta documents. The Graph API
// accepts two others: a null field counts as absent, and a text may hold the JSON of an
// object or a list that belongs in its place. Each such place is a warning. body is not
// changed.
func Normalize(body map[string]any) (map[string]any, schema.Violations) {
	if !needsNormalizing(body) {
		return body, nil
	}
	var found schema.Violations
	plain, _ := withoutNulls(body, nil, &found).(map[string]any)
	of, _ := bodyType(plain)
	for range maxNesting {
		_, wrong := of.Coerce(plain)
		before := len(found)
		for _, w := range wrong {
			text, ok := valueAt(plain, w.Path).(string)
			if !ok || w.Rule != "type" || !looksLikeJSON(text) {
				continue
			}
			if v, err := actions.DecodeJSON([]byte(text)); err == nil {
				found = append(found, schema.Violation{Path: w.Path, Rule: "json-text", Warning: true,
					Message: "is text that contains JSON, which Meta accepts", Hint: "leave out the quotes around it"})
				plain, _ = replaceAt(plain, w.Path, withoutNulls(v, w.Path, &found)).(map[string]any)
			}
		}
		if len(found) == before {
			break
		}
	}
	return plain, found
}

// needsNormalizing tells whether Normalize may have to change anything.
func needsNormalizing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return looksLikeJSON(v)
	case []any:
		return slices.ContainsFunc(v, needsNormalizing)
	case map[string]any:
		for _, inner := range v {
			if needsNormalizing(inner) {
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

// withoutNulls returns v, which stands at path, without its null fields, and reports them.
func withoutNulls(v any, path schema.Path, found *schema.Violations) any {
	if len(path) > 0 && slices.Contains([]any{"data", "flow_action_data"}, path[len(path)-1]) {
		return v // the data of a WhatsApp Flow, which Meta passes on unchanged
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
					Message: "is null, which Meta treats as absent", Hint: "leave it out"})
				continue
			}
			out[name] = withoutNulls(inner, at, found)
		}
		return out
	}
	return v
}

// valueAt returns the value at a path, nil if there is none.
func valueAt(v any, path schema.Path) any {
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

// replaceAt returns a copy of v with the value at a path replaced. Only the last step of the
// path may be new; otherwise v is returned as it is.
func replaceAt(v any, path schema.Path, other any) any {
	if len(path) == 0 {
		return other
	}
	switch whole := v.(type) {
	case []any:
		if i, ok := path[0].(int); ok && i < len(whole) {
			out := slices.Clone(whole)
			out[i] = replaceAt(whole[i], path[1:], other)
			return out
		}
	case map[string]any:
		if name, ok := path[0].(string); ok {
			if inner, ok := whole[name]; ok || len(path) == 1 {
				out := maps.Clone(whole)
				out[name] = replaceAt(inner, path[1:], other)
				return out
			}
		}
	}
	return v
}
