package whatsapp

import (
	"regexp"
	"slices"
	"strings"

	"facteur/flow/schema"
)

// mustache is how other tools, and Meta's templates, write a value.
var mustache = regexp.MustCompile(`\{\{\s*([\p{L}_$][\p{L}\p{N}_.$-]*|\d+)\s*\}\}`)

// literals looks for {{name}} in what is written in a flow. It runs at load only: what
// people have written by the time of a send may look like anything.
func literals(in schema.Value) schema.Violations {
	input, _ := in.Object()
	found := foreign(nil, input["message"], schema.Path{"message"}, false)
	if fallback, ok := input["fallback"].(map[string]any); ok {
		found = foreign(found, fallback["message"], schema.Path{"fallback", "message"}, false)
	}
	return foreign(found, input["recipient"], schema.Path{"recipient"}, false)
}

// foreign finds {{name}} in the texts in and below a value.
func foreign(found schema.Violations, v any, path schema.Path, warning bool) schema.Violations {
	switch v := v.(type) {
	case schema.Unknown:
		return foreign(found, strings.Join(v.FixedParts, "${…}"), path, warning)
	case string:
		if !strings.Contains(v, "{{") || len(found) >= mostFound {
			return found
		}
		if name := mustache.FindStringSubmatch(v); name != nil {
			found = append(found, schema.Violation{Path: slices.Clone(path), Rule: "message-placeholder", Warning: warning,
				Message: name[0] + " is sent as it stands", Hint: "for a value write " + brief(strings.Replace(v, name[0], expression(name[1]), 1))})
		}
	case []any:
		for i, inner := range v {
			found = foreign(found, inner, append(path, i), warning)
		}
	case map[string]any:
		n := len(found)
		for name, inner := range v {
			found = foreign(found, inner, append(path, name), warning)
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

// expression is what probably was meant by a placeholder of that name.
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
