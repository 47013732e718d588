package flow

import "strings"

// A file is a text whose bytes are looked at by their places.
type file struct{ text string }

// peek gives the byte at a place, 0 outside of the text.
func (f file) peek(pos int) byte {
	if pos >= 0 && pos < len(f.text) {
		return f.text[pos]
	}
	return 0
}

// blanks gives where the spaces and tabs at a place end.
func (f file) blanks(pos int) int {
	for f.peek(pos) == ' ' || f.peek(pos) == '\t' {
		pos++
	}
	return pos
}

// lineEnd gives where the line of a place ends, without its line break.
func (f file) lineEnd(pos int) int {
	end := strings.IndexByte(f.text[pos:], '\n')
	if end < 0 {
		return len(f.text)
	}
	end += pos
	if end > pos && f.text[end-1] == '\r' {
		end--
	}
	return end
}
