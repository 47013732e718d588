package flow

import (
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
)

// A sourceMapper maps the bytes of a decoded scalar to the source, by walking through both in
// step. Its methods return false if the two do not match.
type sourceMapper struct {
	textView
	value    string
	pos, at  int // in text and value
	segments []diag.Segment
}

// addSegment says that the next byte of the value is at pos.
func (t *sourceMapper) addSegment(pos int) {
	if n := len(t.segments); n > 0 {
		if last := t.segments[n-1]; last.SourceOffset+t.at-last.ValueOffset == pos {
			return
		}
	}
	t.segments = append(t.segments, diag.Segment{ValueOffset: t.at, SourceOffset: pos})
}

// copyBytes consumes n bytes that are the same in the source and the value.
func (t *sourceMapper) copyBytes(n int) bool {
	if t.at+n > len(t.value) || t.value[t.at:t.at+n] != t.text[t.pos:t.pos+n] {
		return false
	}
	if n > 0 {
		t.addSegment(t.pos)
		t.at += n
		t.pos += n
	}
	return true
}

// emit consumes a byte of the value that the source writes differently at pos.
func (t *sourceMapper) emit(c byte, pos int) bool {
	if t.at >= len(t.value) || t.value[t.at] != c {
		return false
	}
	t.addSegment(pos)
	t.at++
	return true
}

// breakAt returns the length of the line break at pos, 0 if there is none.
func (t *sourceMapper) breakAt(pos int) int {
	switch {
	case t.peek(pos) == '\n':
		return 1
	case t.peek(pos) == '\r' && t.peek(pos+1) == '\n':
		return 2
	}
	return 0
}

// fold consumes white space with line breaks in it: a single break is a space, n breaks are n-1
// line breaks. After an escaped break none is a space.
func (t *sourceMapper) fold(escaped bool) bool {
	first, more := -1, escaped
	for ; t.isSpace(t.pos); t.pos++ {
		switch {
		case t.text[t.pos] != '\n':
		case first < 0 && !escaped:
			first = t.pos
		case !t.emit('\n', t.pos):
			return false
		default:
			more = true
		}
	}
	return more || t.emit(' ', first)
}

// run returns the end of the bytes that stand for themselves.
func (t *sourceMapper) run(stop string) int {
	end := t.pos
	for end < len(t.text) && strings.IndexByte(stop, t.text[end]) < 0 {
		end++
	}
	return end
}

func (t *sourceMapper) plain() bool {
	for t.at < len(t.value) {
		if next := t.blanks(t.pos); t.breakAt(next) > 0 {
			if !t.fold(false) {
				return false
			}
			continue
		}
		n := max(1, t.run("\r\n \t")-t.pos)
		if t.pos+n > len(t.text) || !t.copyBytes(min(n, len(t.value)-t.at)) {
			return false
		}
	}
	return true
}

func (t *sourceMapper) quoted(quote byte) bool {
	t.pos++
	stop := "\"\\ \t\r\n"
	if quote == '\'' {
		stop = "' \t\r\n"
	}
	for t.pos < len(t.text) {
		ok := true
		c := t.text[t.pos]
		switch {
		case c == quote && quote == '\'' && t.peek(t.pos+1) == '\'':
			ok = t.emit('\'', t.pos)
			t.pos += 2
		case c == quote:
			t.pos++
			return t.at == len(t.value)
		case c == '\\' && quote == '"':
			ok = t.escape()
		case t.breakAt(t.blanks(t.pos)) > 0:
			ok = t.fold(false)
		default:
			ok = t.copyBytes(max(1, t.run(stop)-t.pos))
		}
		if !ok {
			return false
		}
	}
	return false
}

// escape consumes an escape sequence. The last byte of its character is mapped to its last
// byte, so that ranges end where the escape ends.
func (t *sourceMapper) escape() bool {
	if n := t.breakAt(t.pos + 1); n > 0 {
		t.pos += 1 + n
		return t.fold(true)
	}
	length := 2
	switch t.peek(t.pos + 1) {
	case 'x':
		length = 4
	case 'u':
		length = 6
	case 'U':
		length = 10
	}
	_, size := utf8.DecodeRuneInString(t.value[t.at:])
	if t.at+size > len(t.value) || t.pos+length > len(t.text) || size == 0 {
		return false
	}
	for i := range size {
		pos := t.pos
		if i > 0 {
			pos = t.pos + length - size + i
		}
		t.addSegment(pos)
		t.at++
	}
	t.pos += length
	return true
}

// block consumes a literal or folded block. What is left of the white space before a line, without
// indentation and folded breaks, is white space in the value.
func (t *sourceMapper) block() bool {
	t.pos = t.lineEnd(t.pos)
	next := t.pos + t.breakAt(t.pos)
	for t.at < len(t.value) {
		for ; t.at < len(t.value) && strings.IndexByte(" \t\n", t.value[t.at]) >= 0; next++ {
			if !t.isSpace(next) {
				return false
			}
			t.emit(t.text[next], next)
		}
		if t.at == len(t.value) {
			break
		}
		for t.isSpace(next) {
			next++
		}
		t.pos, next = next, t.lineEnd(next)
		if t.pos == next || !t.copyBytes(next-t.pos) {
			return false
		}
	}
	return true
}
