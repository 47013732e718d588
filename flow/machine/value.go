package machine

import (
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// canonical gives a value from outside the form that it has once it was stored as JSON
// and read again, so that a run decides the same live and resumed. Where the type says
// what a part is, the part is that; elsewhere a whole number is an integer, and times
// and durations are texts.
func canonical(t *schema.Type, v map[string]any) map[string]any {
	if v == nil {
		return nil
	}
	plain, _ := stored(v)
	out, _ := plain.(map[string]any)
	if coerced, found := t.Coerce(out); found.Err() == nil {
		out, _ = coerced.(map[string]any)
	}
	return out
}

func canonicalError(e *call.Error) *call.Error {
	if e == nil {
		return nil
	}
	out := *e
	out.Message = storedText(e.Message)
	details, _ := stored(e.Details)
	out.Details, _ = details.(map[string]any)
	return &out
}

// stored gives a value as JSON would give it back. It copies only where something
// changes.
func stored(v any) (out any, changed bool) {
	switch x := v.(type) {
	case nil, bool, int64:
		return v, false
	case string:
		if utf8.ValidString(x) {
			return v, false
		}
		return storedText(x), true
	case float64:
		if x == math.Trunc(x) && x >= math.MinInt64 && x < math.MaxInt64 {
			return int64(x), true // 3.0 is written 3
		}
		return v, false
	case time.Time:
		return x.Format(time.RFC3339Nano), true
	case time.Duration:
		return schema.FormatDuration(x), true
	case []any:
		for i, item := range x {
			if item, differs := stored(item); differs {
				if !changed {
					x, changed = slices.Clone(x), true
					v = x
				}
				x[i] = item
			}
		}
		return v, changed
	case map[string]any:
		entries := x
		for name, item := range entries {
			item, differs := stored(item)
			valid := utf8.ValidString(name)
			if !differs && valid {
				continue
			}
			if !changed {
				x, changed = maps.Clone(entries), true
			}
			if !valid {
				delete(x, name)
				name = storedText(name)
			}
			x[name] = item
		}
		return x, changed
	}
	if _, unknown := v.(schema.Unknown); unknown {
		return nil, true
	}
	plain, _ := stored(schema.Encode(v))
	return plain, true
}

func storedText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s)) // each wrong byte becomes U+FFFD
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
		out[f.Name] = f.Type.Zero()
	}
	if out == nil {
		return map[string]any{}
	}
	return out
}
