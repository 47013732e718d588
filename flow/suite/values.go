package suite

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/schema"
)

// valuesRead lists the values that an expression reads, as "path = value".
func valuesRead(source string, values map[string]any) []string {
	var lines []string
	add := func(names []string, v any) {
		if line := strings.Join(names, ".") + " = " + formatValue(v); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, path := range pathsOf(source) {
		names := strings.Split(path, ".")
		if _, ok := values[names[0]]; !ok {
			continue
		}
		v, read := lookUp(values, names)
		if _, absent := v.(missing); absent && names[0] == "steps" && len(names) > 2 {
			status := []string{"steps", names[1], "status"}
			state, _ := lookUp(values, status)
			add(status, state)
		}
		add(names[:read], v)
	}
	return lines
}

// lookUp follows a path; read is how many of its names lead to v. A name after a value without
// fields is a function.
func lookUp(values map[string]any, names []string) (v any, read int) {
	v = values
	for i, name := range names {
		fields, ok := v.(map[string]any)
		if !ok {
			return v, i
		}
		if v, ok = fields[name]; !ok {
			return missing{}, len(names)
		}
	}
	return v, len(names)
}

// missing stands for the value at a path that does not exist.
type missing struct{}

// formatValue formats a value as compact JSON.
func formatValue(v any) string {
	if _, ok := v.(missing); ok {
		return "(nothing)"
	}
	text, err := schema.AppendJSON(nil, schema.JSON(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// pathsOf returns the dotted paths of a CEL expression, in order: names joined by dots,
// outside of strings. A name before a parenthesis is a function, not part of a path.
func pathsOf(s string) []string {
	var paths []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\'':
			i = afterString(s, i)
		case isLetter(c):
			j := i
			for j < len(s) && (isLetter(s[j]) || s[j] >= '0' && s[j] <= '9' || s[j] == '.' && j+1 < len(s) && (isLetter(s[j+1]) || s[j+1] == '?') || s[j] == '?' && s[j-1] == '.') {
				j++
			}
			path := strings.ReplaceAll(s[i:j], "?", "")
			if j < len(s) && s[j] == '(' {
				path = path[:max(0, strings.LastIndexByte(path, '.'))]
			}
			if path != "" && (i == 0 || s[i-1] != '.') {
				paths = append(paths, path)
			}
			i = j
		case c >= '0' && c <= '9':
			for i < len(s) && (isLetter(s[i]) || s[i] >= '0' && s[i] <= '9') {
				i++
			}
		default:
			i++
		}
	}
	return paths
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// afterString returns the offset after the string whose quote is at i.
func afterString(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return len(s)
}
