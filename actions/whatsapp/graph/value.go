package graph

import (
	"strconv"

	"facteur/flow/schema"
)

// Many gives the elements of a list; an object alone is a list of one.
func Many(v schema.Value) []schema.Value {
	if _, ok := v.Object(); ok {
		return []schema.Value{v}
	}
	items := v.Items()
	objects := items[:0]
	for _, item := range items {
		if _, ok := item.Object(); ok {
			objects = append(objects, item)
		}
	}
	return objects
}

// Word reads a text; ids come as numbers, too.
func Word(v schema.Value) string {
	if text, ok := v.Text(); ok {
		return text
	}
	switch n := v.Any().(type) {
	case int64:
		return strconv.FormatInt(n, 10)
	case float64:
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return ""
}
