package whatsapp

import (
	"regexp"
	"slices"
	"strings"

	"facteur/flow/schema"
)

// placeholder matches {{name}}, which other tools and Meta's templates write for a value.
var placeholder = regexp.MustCompile(`\{\{\s*([\p{L}_$][\p{L}\p{N}_.$-]*|\d+)\s*\}\}`)

// placeholders finds {{name}} in what a flow's author wrote. It runs at load only: at a
// send, texts hold input, which may legitimately contain anything.
func placeholders(in schema.Value) schema.Violations {
	input, _ := in.Object()
	found := appendPlaceholders(nil, input["message"], schema.Path{"message"}, false)
	if fallback, ok := input["fallback"].(map[string]any); ok {
		found = appendPlaceholders(found, fallback["message"], schema.Path{"fallback", "message"}, false)
	}
	return appendPlaceholders(found, input["recipient"], schema.Path{"recipient"}, false)
}

// appendPlaceholders appends the {{name}} in the texts in and below a value.
func appendPlaceholders(found schema.Violations, v any, path schema.Path, warning bool) schema.Violations {
	switch v := v.(type) {
	case schema.Unknown:
		return appendPlaceholders(found, strings.Join(v.FixedParts, "${…}"), path, warning)
	case string:
		if !strings.Contains(v, "{{") || len(found) >= maxViolations {
			return found
		}
		if name := placeholder.FindStringSubmatch(v); name != nil {
			found = append(found, schema.Violation{Path: slices.Clone(path), Rule: "message-placeholder", Warning: warning,
				Message: name[0] + " is sent literally", Hint: "to insert a value, write " + brief(strings.Replace(v, name[0], expression(name[1]), 1))})
		}
	case []any:
		for i, inner := range v {
			found = appendPlaceholders(found, inner, append(path, i), warning)
		}
	case map[string]any:
		n := len(found)
		for name, inner := range v {
			found = appendPlaceholders(found, inner, append(path, name), warning)
		}
		if len(found) > n+1 { // the order of a Go map is random
			sortByPath(found[n:])
		}
	}
	return found
}

func sortByPath(found schema.Violations) {
	slices.SortStableFunc(found, func(a, b schema.Violation) int { return strings.Compare(a.Path.String(), b.Path.String()) })
}

// expression suggests the expression for a placeholder of that name.
func expression(name string) string {
	name = strings.TrimLeft(name, "$")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return "${…}"
	}
	for _, known := range [...]string{"inputs.", "steps.", "vars.", "settings.", "run.", "event.", "error."} {
		if strings.HasPrefix(name, known) {
			return "${" + name + "}"
		}
	}
	return "${inputs." + name + "}"
}
