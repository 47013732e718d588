package suite

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/expr"
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
	for _, path := range expr.Paths(source) {
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
