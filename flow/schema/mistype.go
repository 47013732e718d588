package schema

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"facteur/flow/diag"
)

// mistype reports a value of the wrong kind.
func (c *coercer) mistype(t *Type, v any) {
	hint := ""
	switch v := v.(type) {
	case nil:
		hint = "leave the field out if there is no value"
	case string:
		hint = c.textHint(t, v)
	case []any:
		if t.Kind == Map {
			hint = "write {NAME: VALUE, …}"
		}
	case bool, int64, float64:
		switch {
		case c.sensitiveDepth > 0:
		case t.Kind == String:
			hint = fmt.Sprintf("put it in quotes: \"%v\"", v)
		case t.Kind == Duration:
			hint = durationForm
		}
	}
	if _, isList := v.([]any); hint == "" && t.Kind == List && v != nil && !isList {
		hint = "put a dash before each item, even a single one, or [ ] around them"
	}
	if hint == "" && t.Kind == Object && len(t.Fields) > 0 {
		hint = diag.DidYouMean("", "write an object with its fields", t.Names())
	}
	c.errorf("type", hint, "expected %s, got %s", t.Name(), valueName(v))
}

func (c *coercer) textHint(t *Type, s string) string {
	switch t.Kind {
	case Bool, Int, Number:
		if _, err := parseScalar(t, strings.TrimSpace(s)); err == nil {
			return "remove the quotes"
		}
	case List, Map, Object:
		if trimmed := strings.TrimSpace(s); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
			return "this is a string that looks like JSON: remove the quotes around it"
		}
		if f := t.soleTextField(); f != nil {
			if c.sensitiveDepth > 0 || len(s) > 60 {
				s = "…"
			}
			return fmt.Sprintf("write {%s: %q}", f.Name, s)
		}
	}
	return ""
}

// soleTextField returns the field that a bare text is probably meant for: the only required
// one, or the only one.
func (t *Type) soleTextField() *Field {
	var only *Field
	for _, f := range t.Fields {
		if f.Required || len(t.Fields) == 1 {
			if only != nil || f.Type.Kind != String || len(f.Type.Enum) > 0 {
				return nil
			}
			only = f
		}
	}
	return only
}

// quote formats a value for a message, unless it is sensitive.
func (c *coercer) quote(v any) string {
	if c.sensitiveDepth > 0 {
		return "the value"
	}
	if s, ok := v.(string); ok {
		return quoteShort(s)
	}
	return fmt.Sprint(v)
}

// valueName returns the name of a value's type, as Type.Name does.
func valueName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64)) + ", which is not a number"
		}
		return "number"
	case time.Time:
		return "timestamp"
	case time.Duration:
		return "duration"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	case Unknown:
		return "a value not known yet"
	}
	return fmt.Sprintf("a Go %T", v)
}
