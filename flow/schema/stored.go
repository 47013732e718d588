package schema

import (
	"math"
	"time"
	"unicode/utf8"
)

// CoerceStored is Coerce for a value that will be stored as JSON: it returns what Coerce would
// return after writing and reading it. Parts with a declared type have that type; others have
// the form of Stored.
func (t *Type) CoerceStored(v any) (any, Violations) { return t.coerce(v, true) }

// Stored converts a value to the form in which JSON gives it back: whole numbers are integers,
// times and durations are texts, texts are UTF-8, and what has no plain value is nil. It
// copies only what changes.
func Stored(v any) (out any, changed bool) {
	c := coercer{stored: true}
	return c.value(AnyType, v, siblings{})
}

// asStored is Stored without the parts of v.
func asStored(v any) (out any, changed bool) {
	switch x := v.(type) {
	case nil, bool, int64, []any, map[string]any:
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
		return FormatDuration(x), true
	case Unknown:
		return nil, true
	}
	out, _ = asStored(Encode(v))
	return out, true
}

// storedText replaces each byte that is not UTF-8 by U+FFFD.
func storedText(s string) string { return string([]rune(s)) }
