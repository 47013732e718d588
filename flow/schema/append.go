package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// AppendJSON appends a plain value as JSON with sorted keys, and durations as flows write
// them. encoding/json would take as long for a message as the rest of a send.
func AppendJSON(b []byte, v any) ([]byte, error) { return appendJSON(b, v, true) }

// AppendUnsorted is AppendJSON for what only programs read: it does not sort the keys of
// objects, which takes a third of the time.
func AppendUnsorted(b []byte, v any) ([]byte, error) { return appendJSON(b, v, false) }

func appendJSON(b []byte, v any, sorted bool) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return AppendText(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case time.Time:
		return append(v.AppendFormat(append(b, '"'), time.RFC3339Nano), '"'), nil
	case time.Duration:
		return AppendText(b, FormatDuration(v)), nil
	case []any:
		b = append(b, '[')
		for i, inner := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, inner, sorted); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		if sorted {
			return appendSorted(b, v)
		}
		return appendObject(b, v)
	}
	text, err := json.Marshal(v)
	return append(b, text...), err
}

func appendSorted(b []byte, object map[string]any) (_ []byte, err error) {
	var room [12]Entry // most objects have no more
	b = append(b, '{')
	for _, e := range AppendEntries(room[:0], object) {
		if b, err = appendEntry(b, e.Name, e.Value, true); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendObject(b []byte, object map[string]any) (_ []byte, err error) {
	b = append(b, '{')
	for name, v := range object {
		if b, err = appendEntry(b, name, v, false); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendEntry(b []byte, name string, v any, sorted bool) ([]byte, error) {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return appendJSON(append(AppendText(b, name), ':'), v, sorted)
}

// An Entry is a name and its value. It includes the value because a map look-up costs as much
// as appending it.
type Entry struct {
	Name  string
	Value any
}

// AppendEntries appends the entries of an object sorted by name.
func AppendEntries(to []Entry, object map[string]any) []Entry {
	to = slices.Grow(to, len(object))
	n := len(to)
	for name, value := range object {
		to = append(to, Entry{name, value})
	}
	slices.SortFunc(to[n:], func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return to
}

func appendFloat(b []byte, f float64) ([]byte, error) {
	format := byte('f')
	if abs := math.Abs(f); math.IsNaN(f) || math.IsInf(f, 0) {
		return b, fmt.Errorf("JSON has no number %v", f)
	} else if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64), nil
}

const hexDigits = "0123456789abcdef"

// AppendText appends a string as JSON.
func AppendText(b []byte, s string) []byte {
	b = append(b, '"')
	if isPlain(s) {
		b = append(b, s...)
	} else {
		b = appendEscaped(b, s)
	}
	return append(b, '"')
}

// isPlain reports whether a string needs no escaping in JSON, as most do.
func isPlain[T string | []byte](s T) bool {
	for i := range len(s) {
		if !isPlainByte(s[i]) {
			return false
		}
	}
	return true
}

func isPlainByte(c byte) bool { return c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf }

func appendEscaped(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c, size := s[i], 1
		if c >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		if size > 1 || isPlainByte(c) {
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		i++
		start = i
		switch {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, "\uFFFD"...)
		}
	}
	return append(b, s[start:]...)
}
