package schema

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of objects and lists.
const maxDepth = 64

// ReadJSON parses JSON into plain values in the form of Stored: a whole number is an int64 if
// it fits, other numbers are float64. It takes a third of the time of encoding/json and
// Coerce. It is stricter than encoding/json, so that all readers agree on what a text means:
// no duplicate names in an object, valid UTF-8, nothing after the value. An error names the
// position: "line 3, column 7: …".
func ReadJSON(text []byte) (any, error) {
	r := jsonReader{text: text}
	if len(text) <= maxShared {
		r.shared = string(text)
	}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if r.space(); r.pos < len(text) {
		return nil, r.errorf("unexpected text after the value")
	}
	return v, nil
}

// maxShared is the size up to which a text is copied once and all its strings are slices of
// that copy. Any of them keeps the whole copy alive.
const maxShared = 1024

type jsonReader struct {
	text   []byte
	shared string // the same text, if strings share it
	pos    int
}

// slice returns the text between two offsets.
func (r *jsonReader) slice(from, to int) string {
	if to <= len(r.shared) {
		return r.shared[from:to]
	}
	return string(r.text[from:to])
}

func (r *jsonReader) errorf(format string, args ...any) error {
	line, column := 1, 1
	for _, c := range string(r.text[:min(r.pos, len(r.text))]) {
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return fmt.Errorf("line %d, column %d: %s", line, column, fmt.Sprintf(format, args...))
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, 0 at the end.
func (r *jsonReader) peek() byte {
	if r.space(); r.pos < len(r.text) {
		return r.text[r.pos]
	}
	return 0
}

func (r *jsonReader) value(depth int) (any, error) {
	switch c := r.peek(); {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return nil, r.errorf("objects and lists are nested more than %d deep", maxDepth)
		}
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case c == '"':
		return r.string()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	case r.pos == len(r.text):
		return nil, r.errorf("the text ends where a value is expected")
	}
	switch rest := r.text[r.pos:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		r.pos += len("true")
		return true, nil
	case bytes.HasPrefix(rest, []byte("false")):
		r.pos += len("false")
		return false, nil
	case bytes.HasPrefix(rest, []byte("null")):
		r.pos += len("null")
		return nil, nil
	}
	return nil, r.errorf("expected a value, got %q", r.nextRune())
}

// nextRune returns the next character, for messages.
func (r *jsonReader) nextRune() string {
	_, size := utf8.DecodeRune(r.text[r.pos:])
	return string(r.text[r.pos : r.pos+size])
}

// more reads what follows an item: true for a comma, false for the end.
func (r *jsonReader) more(end byte) (bool, error) {
	switch c := r.peek(); {
	case c == ',':
		r.pos++
		return true, nil
	case c == end:
		r.pos++
		return false, nil
	case r.pos == len(r.text):
		return false, r.errorf("the text ends where , or %c is expected", end)
	}
	return false, r.errorf("expected , or %c, got %q", end, r.nextRune())
}

func (r *jsonReader) list(depth int) (any, error) {
	r.pos++
	list := []any{}
	if r.peek() == ']' {
		r.pos++
		return list, nil
	}
	for {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if more, err := r.more(']'); err != nil || !more {
			return list, err
		}
	}
}

func (r *jsonReader) object(depth int) (any, error) {
	r.pos++
	object := map[string]any{}
	if r.peek() == '}' {
		r.pos++
		return object, nil
	}
	for {
		if r.peek() != '"' {
			return nil, r.errorf("expected a name in double quotes")
		}
		start := r.pos
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		if r.peek() != ':' {
			return nil, r.errorf("expected : after the name %q", name)
		}
		r.pos++
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		before := len(object)
		if object[name] = v; len(object) == before {
			r.pos = start
			return nil, r.errorf("the name %q appears twice in this object", name)
		}
		if more, err := r.more('}'); err != nil || !more {
			return object, err
		}
	}
}

func (r *jsonReader) digits() bool {
	start := r.pos
	for r.pos < len(r.text) && r.text[r.pos] >= '0' && r.text[r.pos] <= '9' {
		r.pos++
	}
	return r.pos > start
}

// accept consumes the next byte if it is one of chars.
func (r *jsonReader) accept(chars string) bool {
	if r.pos < len(r.text) && strings.IndexByte(chars, r.text[r.pos]) >= 0 {
		r.pos++
		return true
	}
	return false
}

func (r *jsonReader) number() (any, error) {
	start, isInt := r.pos, true
	r.accept("-")
	ok := r.accept("0") || r.digits()
	if ok && r.accept(".") {
		isInt, ok = false, r.digits()
	}
	if ok && r.accept("eE") {
		r.accept("+-")
		isInt, ok = false, r.digits()
	}
	if !ok {
		return nil, r.errorf("this is not a number")
	}
	text := r.slice(start, r.pos)
	if isInt {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, r.errorf("the number is too large")
	}
	v, _ := asStored(f)
	return v, nil
}

func (r *jsonReader) string() (string, error) {
	r.pos++
	start := r.pos
	if n := bytes.IndexByte(r.text[start:], '"'); n >= 0 && isPlain(r.text[start:start+n]) { // the frequent case
		r.pos += n + 1
		return r.slice(start, start+n), nil
	}
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == '"':
			if !utf8.Valid(r.text[start:r.pos]) {
				return "", r.errorf("the text before this is not UTF-8")
			}
			r.pos++
			return r.slice(start, r.pos-1), nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", r.errorf("a line break, tab or control character in a string must be written as \\n, \\t or \\u%04x", c)
		}
		r.pos++
	}
	return "", r.errorf("the string is never closed")
}

// escaped continues a string at its first escape.
func (r *jsonReader) escaped(start int) (string, error) {
	out := append(make([]byte, 0, r.pos-start+64), r.text[start:r.pos]...)
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return "", r.errorf("the text before this is not UTF-8")
			}
			r.pos++
			return string(out), nil
		case c == '\\':
			char, err := r.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, char)
			continue
		case c < ' ':
			return "", r.errorf("a line break, tab or control character in a string must be written as \\n, \\t or \\u%04x", c)
		}
		out = append(out, c)
		r.pos++
	}
	return "", r.errorf("the string is never closed")
}

func (r *jsonReader) escape() (rune, error) {
	if r.pos+1 >= len(r.text) {
		return 0, r.errorf("the string is never closed")
	}
	c := r.text[r.pos+1]
	switch c {
	case 'n':
		c = '\n'
	case 't':
		c = '\t'
	case 'r':
		c = '\r'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case '"', '\\', '/':
	case 'u':
		return r.unicode()
	default:
		r.pos++
		return 0, r.errorf("there is no escape \\%s", r.nextRune())
	}
	r.pos += 2
	return rune(c), nil
}

// unicode reads \uXXXX, or a surrogate pair of them.
func (r *jsonReader) unicode() (rune, error) {
	high, ok := r.hex(r.pos)
	if !ok {
		return 0, r.errorf("\\u needs four hexadecimal digits")
	}
	if high < 0xd800 || high > 0xdfff {
		r.pos += 6
		return high, nil
	}
	low, ok := r.hex(r.pos + 6)
	if high > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
		return 0, r.errorf("\\u%04x is only half of a character", high)
	}
	r.pos += 12
	return 0x10000 + (high-0xd800)<<10 + (low - 0xdc00), nil
}

// hex reads \uXXXX at an offset.
func (r *jsonReader) hex(at int) (rune, bool) {
	if at+6 > len(r.text) || r.text[at] != '\\' || r.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.text[at+2:at+6]), 16, 16)
	return rune(n), err == nil
}
