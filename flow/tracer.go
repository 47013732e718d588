package flow

import (
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
)

// A tracer walks through the text and the value of a scalar side by side. Its
// methods are false when the two do not fit.
type tracer struct {
	file
	value   string
	pos, at int // in text and value
	marks   []diag.Mark
}

// mark says that the value's next byte stands at pos.
func (t *tracer) mark(pos int) {
	if n := len(t.marks); n > 0 {
		if last := t.marks[n-1]; last.Offset+t.at-last.At == pos {
			return
		}
	}
	t.marks = append(t.marks, diag.Mark{At: t.at, Offset: pos})
}

// take takes n bytes that the text and the value share.
func (t *tracer) take(n int) bool {
	if t.at+n > len(t.value) || t.value[t.at:t.at+n] != t.text[t.pos:t.pos+n] {
		return false
	}
	if n > 0 {
		t.mark(t.pos)
		t.at += n
		t.pos += n
	}
	return true
}

// put takes a byte of the value that the text writes differently at pos.
func (t *tracer) put(c byte, pos int) bool {
	if t.at >= len(t.value) || t.value[t.at] != c {
		return false
	}
	t.mark(pos)
	t.at++
	return true
}

// breakAt gives the length of the line break at pos, 0 when there is none.
func (t *tracer) breakAt(pos int) int {
	switch {
	case t.peek(pos) == '\n':
		return 1
	case t.peek(pos) == '\r' && t.peek(pos+1) == '\n':
		return 2
	}
	return 0
}

// fold takes line breaks and the blanks around them: one break is a space, more are
// one fewer line breaks. After an escaped break none is a space.
func (t *tracer) fold(escaped bool) bool {
	first := true
	space := t.pos
	for {
		next := t.blanks(t.pos)
		n := t.breakAt(next)
		if n == 0 {
			if !first && space >= 0 && !t.put(' ', space) {
				return false
			}
			t.pos = next
			return true
		}
		switch {
		case escaped:
			if !t.put('\n', next+n-1) {
				return false
			}
		case first:
			space, first = next, false
		default:
			space = -1
			if !t.put('\n', next+n-1) {
				return false
			}
		}
		t.pos = next + n
	}
}

// run gives where the bytes that stand for themselves end.
func (t *tracer) run(stop string) int {
	end := t.pos
	for end < len(t.text) && strings.IndexByte(stop, t.text[end]) < 0 {
		end++
	}
	return end
}

func (t *tracer) plain() bool {
	for t.at < len(t.value) {
		if next := t.blanks(t.pos); t.breakAt(next) > 0 {
			if !t.fold(false) {
				return false
			}
			continue
		}
		n := max(1, t.run("\r\n \t")-t.pos)
		if t.pos+n > len(t.text) || !t.take(min(n, len(t.value)-t.at)) {
			return false
		}
	}
	return true
}

func (t *tracer) quoted(quote byte) bool {
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
			ok = t.put('\'', t.pos)
			t.pos += 2
		case c == quote:
			t.pos++
			return t.at == len(t.value)
		case c == '\\' && quote == '"':
			ok = t.escape()
		case t.breakAt(t.blanks(t.pos)) > 0:
			ok = t.fold(false)
		default:
			ok = t.take(max(1, t.run(stop)-t.pos))
		}
		if !ok {
			return false
		}
	}
	return false
}

// escape takes a backslash and what follows. The last byte that an escape stands
// for is placed at its last byte, so that ranges end where the escape does.
func (t *tracer) escape() bool {
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
		t.mark(pos)
		t.at++
	}
	t.pos += length
	return true
}

// block takes a literal or folded block. Whether a line break was folded is read off
// the value.
func (t *tracer) block() bool {
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
		if !t.take(end - t.pos) {
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

// breaks takes what the value made of line breaks that stand at those places.
func (t *tracer) breaks(places []int) bool {
	rest := t.value[t.at:]
	n := len(rest) - len(strings.TrimLeft(rest, "\n"))
	switch {
	case rest == "":
		return true
	case n == 0:
		return len(places) == 1 && t.put(' ', places[0])
	case n == len(rest): // the end, chomped
	case n == len(places)-1:
		places = places[1:]
	}
	if n > len(places) {
		return false
	}
	for _, pos := range places[:n] {
		t.put('\n', pos)
	}
	return true
}

// emptyLines takes the line breaks of a block that has nothing else.
func (t *tracer) emptyLines(pos int) bool {
	for t.at < len(t.value) {
		for t.peek(pos) == ' ' {
			pos++
		}
		n := t.breakAt(pos)
		if n == 0 || !t.put('\n', pos+n-1) {
			return false
		}
		pos += n
	}
	return true
}

// indent gives the indentation of a block whose lines start at pos: the spaces before
// its first line with content that are not in the value.
func (t *tracer) indent(pos int) (n int, ok bool) {
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
