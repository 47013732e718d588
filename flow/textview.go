package flow

import "strings"

// A textView gives access to the bytes of a text by offset.
type textView struct{ text string }

// peek returns the byte at an offset, 0 outside of the text.
func (f textView) peek(pos int) byte {
	if pos >= 0 && pos < len(f.text) {
		return f.text[pos]
	}
	return 0
}

// spaces returns the end of the spaces at an offset.
func (f textView) spaces(pos int) int {
	for f.peek(pos) == ' ' {
		pos++
	}
	return pos
}

// blanks returns the end of the spaces and tabs at an offset.
func (f textView) blanks(pos int) int {
	for f.peek(pos) == ' ' || f.peek(pos) == '\t' {
		pos++
	}
	return pos
}

// isSpace reports whether a blank or a part of a line break is at an offset.
func (f textView) isSpace(pos int) bool {
	switch f.peek(pos) {
	case ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// wordEnd returns the end of what is not white space at an offset.
func (f textView) wordEnd(pos int) int {
	for pos < len(f.text) && !f.isSpace(pos) {
		pos++
	}
	return pos
}

// lineEnd returns the end of the line at an offset, without its line break.
func (f textView) lineEnd(pos int) int {
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
