package machine

import (
	"maps"
	"math"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// canonical gives a value from outside the form that it has once it was stored as JSON
// and read again, so that a run decides the same live and resumed. Where the type says
// what a part is, the part is that; elsewhere a whole number is an integer, and times
// and durations are texts.
func canonical(t *schema.Type, v any) any {
	coerced, found := t.Coerce(v)
	if found.Err() != nil {
		t = schema.AnyType
		coerced, _ = t.Coerce(v)
	}
	out, _ := stored(t, coerced)
	return out
}

func canonicalMap(t *schema.Type, v map[string]any) map[string]any {
	if v == nil {
		return nil
	}
	out, _ := canonical(t, v).(map[string]any)
	return out
}

var freeMap = schema.MapOf(schema.AnyType)

func canonicalError(e *call.Error) *call.Error {
	if e == nil {
		return nil
	}
	out := *e
	out.Details = canonicalMap(freeMap, e.Details)
	return &out
}

// stored copies only where something changes.
func stored(t *schema.Type, v any) (out any, changed bool) {
	if t == nil {
		t = schema.AnyType
	}
	switch x := v.(type) {
	case float64:
		// As JSON writes and reads it: 3.0 is 3.
		if t.Kind != schema.Number && x == math.Trunc(x) && x >= math.MinInt64 && x < math.MaxInt64 {
			return int64(x), true
		}
	case time.Time:
		if t.Kind != schema.Timestamp {
			return x.Format(time.RFC3339Nano), true
		}
		return x.Round(0), true // without the reading of a running clock
	case time.Duration:
		if t.Kind != schema.Duration {
			return schema.FormatDuration(x), true
		}
	case []any:
		for i, item := range x {
			if item, differs := stored(t.Elem, item); differs {
				if !changed {
					x, changed = slices.Clone(x), true
				}
				x[i] = item
			}
		}
		return x, changed
	case map[string]any:
		entries := x
		for name, item := range entries {
			part := t.Elem
			if t.Kind == schema.Object {
				part = nil
				if f := t.Field(name); f != nil {
					part = f.Type
				}
			}
			if item, differs := stored(part, item); differs {
				if !changed {
					x, changed = maps.Clone(entries), true
				}
				x[name] = item
			}
		}
		return x, changed
	}
	return v, false
}

// withAlways fills in the outputs that are always present, with zero values.
func withAlways(t *schema.Type, out map[string]any) map[string]any {
	copied := false
	for _, f := range t.Fields {
		if !f.Always {
			continue
		}
		if _, ok := out[f.Name]; ok {
			continue
		}
		if !copied {
			if out = maps.Clone(out); out == nil {
				out = map[string]any{}
			}
			copied = true
		}
		out[f.Name] = zero(f.Type)
	}
	if out == nil {
		return map[string]any{}
	}
	return out
}

func zero(t *schema.Type) any {
	switch t.Kind {
	case schema.String:
		return ""
	case schema.Bool:
		return false
	case schema.Int:
		return int64(0)
	case schema.Number:
		return float64(0)
	case schema.Timestamp:
		return time.Time{}
	case schema.Duration:
		return time.Duration(0)
	case schema.List:
		return []any{}
	case schema.Map, schema.Object:
		return map[string]any{}
	}
	return nil
}
