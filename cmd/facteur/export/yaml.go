package export

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"facteur/flow/schema"
)

// yamlFlow writes a value on one line, as people do.
func yamlFlow(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return flowYAML(v)
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = yamlFlow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return yamlText(v)
	case time.Time:
		return yamlText(v.UTC().Format(time.RFC3339Nano))
	case time.Duration:
		return schema.FormatDuration(v)
	case nil:
		return "null"
	}
	text, err := schema.AppendJSON(nil, v)
	if err != nil {
		return yamlText(fmt.Sprint(v))
	}
	return string(text)
}

// flowYAML writes an object on one line, some keys before the others.
func flowYAML(v map[string]any, first ...string) string {
	keys := slices.Sorted(maps.Keys(v))
	slices.SortStableFunc(keys, func(a, b string) int { return place(first, a) - place(first, b) })
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = fmt.Sprintf("%s: %s", yamlText(k), yamlFlow(v[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func place(list []string, s string) int {
	if i := slices.Index(list, s); i >= 0 {
		return i
	}
	return len(list)
}

var plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*$|^[0-9]+(ms|s|m|h|d)([0-9]+(ms|s|m|h))*$`)

// yamlText writes a text, in quotes unless it is plain.
func yamlText(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return string(schema.AppendText(nil, s))
	}
	if plainText.MatchString(s) {
		return s
	}
	return string(schema.AppendText(nil, s))
}
