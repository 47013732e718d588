package schema

import (
	"math"
	"time"
	"unicode/utf8"
)

// CoerceStored is Coerce for a value that is stored as JSON: it gives what it would give
// once that was read again. Where the type says what a part is, the part is that;
// elsewhere it is as of Stored.
func (t *Type) CoerceStored(v any) (any, Violations) { return t.coerce(v, true) }

// Stored gives a value as JSON would give it back: whole numbers are integers, times and
// durations are texts, texts are UTF-8, and what has no plain value is nil. It copies only
// where something changes.
func Stored(v any) (out any, changed bool) {
	c := coercer{stored: true}
	return c.value(AnyType, v, siblings{})
}

// asStored is Stored without what is inside v.
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

// storedText is a text with U+FFFD in the place of each byte that is not UTF-8.
func storedText(s string) string { return string([]rune(s)) }
