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

// fold consumes line breaks and the blanks around them: a single break is a space, n breaks
// are n-1 line breaks. After an escaped break none is a space.
func (t *sourceMapper) fold(escaped bool) bool {
	first := true
	space := t.pos
	for {
		next := t.blanks(t.pos)
		n := t.breakAt(next)
		if n == 0 {
			if !first && space >= 0 && !t.emit(' ', space) {
				return false
			}
			t.pos = next
			return true
		}
		switch {
		case escaped:
			if !t.emit('\n', next+n-1) {
				return false
			}
		case first:
			space, first = next, false
		default:
			space = -1
			if !t.emit('\n', next+n-1) {
				return false
			}
		}
		t.pos = next + n
	}
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

// block consumes a literal or folded block. The value tells whether a line break was folded.
func (t *sourceMapper) block() bool {
	end := t.lineEnd(t.pos)
	t.pos = end
	pos := end + t.breakAt(end)
	indent, ok := t.indent(pos)
	if !ok {
		return strings.Trim(t.value, "\n") == "" && t.emptyLines(pos)
	}
	for t.at < len(t.value) {
		if pos >= len(t.text) {
			return false
		}
		for n := 0; n < indent && t.peek(pos) == ' '; n++ {
			pos++
		}
		t.pos = pos
		end := t.lineEnd(t.pos)
		if !t.copyBytes(end - t.pos) {
			return false
		}
		pos = end + t.breakAt(end)
		// The break, and those of the empty lines that follow it.
		breaks := []int{pos - 1}
		for pos < len(t.text) {
			next := pos
			for n := 0; n < indent && t.peek(next) == ' '; n++ {
				next++
			}
			n := t.breakAt(next)
			if n == 0 {
				break
			}
			pos = next + n
			breaks = append(breaks, pos-1)
		}
		if !t.breaks(breaks) {
			return false
		}
	}
	return true
}

// breaks consumes what the value has for line breaks at these offsets.
func (t *sourceMapper) breaks(offsets []int) bool {
	rest := t.value[t.at:]
	n := len(rest) - len(strings.TrimLeft(rest, "\n"))
	switch {
	case rest == "":
		return true
	case n == 0:
		return len(offsets) == 1 && t.emit(' ', offsets[0])
	case n == len(rest): // the end, chomped
	case n == len(offsets)-1:
		offsets = offsets[1:]
	}
	if n > len(offsets) {
		return false
	}
	for _, pos := range offsets[:n] {
		t.emit('\n', pos)
	}
	return true
}

// emptyLines consumes the line breaks of a block without other content.
func (t *sourceMapper) emptyLines(pos int) bool {
	for t.at < len(t.value) {
		for t.peek(pos) == ' ' {
			pos++
		}
		n := t.breakAt(pos)
		if n == 0 || !t.emit('\n', pos+n-1) {
			return false
		}
		pos += n
	}
	return true
}

// indent returns the indentation of a block whose lines start at pos: the spaces before its
// first line with content that are not in the value.
func (t *sourceMapper) indent(pos int) (n int, ok bool) {
	content := strings.TrimLeft(t.value, "\n")
	if content == "" {
		return 0, false
	}
	for {
		spaces := 0
		for t.peek(pos) == ' ' {
			pos++
			spaces++
		}
		length := t.breakAt(pos)
		if length == 0 {
			inValue := len(content) - len(strings.TrimLeft(content, " "))
			return spaces - inValue, spaces >= inValue && pos < len(t.text)
		}
		pos += length
	}
}
