package flow

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"facteur/flow/diag"
)

// A lineScanner searches a text that yaml.v3 refused for frequent mistakes. It is not a
// parser: it follows lines, indentation, quotes and brackets as far as needed to find where
// values start, and continues after each mistake, except after one of indentation: the
// structure of the lines below it can only be guessed.
type lineScanner struct {
	textView
	d              *document
	pos            int
	levels         []int // the columns of the open lists and maps
	hasValue       bool  // the previous line ended with a complete value
	columnsUnknown bool  // a tab made the columns meaningless
	giveUp         bool  // the rest cannot be understood
	anchors        []string
}

func (s *lineScanner) errorf(code string, start, end int, hint, format string, args ...any) {
	s.d.errorf(code, s.d.at(start, max(end, start)), hint, format, args...)
}

// atEnd reports whether a blank, a line break or the end of the text is at pos.
func (s *lineScanner) atEnd(pos int) bool {
	return s.peek(pos) == 0 || s.isSpace(pos)
}

func (s *lineScanner) nextLine() {
	if end := strings.IndexByte(s.text[s.pos:], '\n'); end >= 0 {
		s.pos += end + 1
	} else {
		s.pos = len(s.text)
	}
}

// restIsEmpty reports whether the rest of the line is empty or a comment.
func (s *lineScanner) restIsEmpty(pos int) bool {
	next := s.blanks(pos)
	switch s.peek(next) {
	case 0, '\r', '\n':
		return true
	case '#':
		return next > pos
	}
	return false
}

func (s *lineScanner) scan() {
	for s.pos < len(s.text) && !s.giveUp {
		start := s.pos
		indent := s.spaces(start)
		first := s.blanks(indent)
		switch c := s.peek(first); {
		case c == 0 || c == '\r' || c == '\n' || c == '#':
			s.nextLine()
			continue
		case first > indent:
			s.errorf("tab-indent", indent, first, "indent with spaces", "a tab cannot indent a line")
			s.columnsUnknown = true
		case strings.HasPrefix(s.text[first:], "\u00a0"):
			s.d.noBreakSpace(first)
			s.columnsUnknown = true
		case first == start && (strings.HasPrefix(s.text[start:], "---") || strings.HasPrefix(s.text[start:], "...") || c == '%'):
			s.levels = s.levels[:0]
			s.nextLine()
			continue
		default:
			s.level(indent-start, first)
		}
		if s.pos = first; !s.giveUp {
			s.entry(start)
		}
	}
}

func (s *lineScanner) badIndent(at int, hint, format string, args ...any) {
	s.errorf("bad-indent", at, at+1, hint, format, args...)
	s.giveUp = true
}

// level checks that the indentation of a line belongs to an open list or map.
func (s *lineScanner) level(column, first int) {
	const hint = "start the line in the same column as the keys or dashes that it belongs with"
	n := len(s.levels)
	for n > 0 && s.levels[n-1] > column {
		n--
	}
	switch {
	case s.columnsUnknown:
	case n < len(s.levels) && (n == 0 || s.levels[n-1] != column):
		s.badIndent(first, hint, "this indentation matches no line above")
	case n > 0 && s.hasValue && s.levels[n-1] < column:
		s.badIndent(first, hint, "this line is indented under a line that already has a value")
	}
	s.levels = s.levels[:n]
}

func (s *lineScanner) open(column int) {
	if n := len(s.levels); n == 0 || s.levels[n-1] < column {
		s.levels = append(s.levels, column)
	}
}

// entry scans the content of a line: dashes, then a key with its value, or a value. start is
// where the line starts.
func (s *lineScanner) entry(start int) {
	s.hasValue = false
	column := s.pos - start
	for (s.peek(s.pos) == '-' || s.peek(s.pos) == '?') && s.atEnd(s.pos+1) {
		column = s.pos - start
		s.open(column)
		s.pos = s.blanks(s.pos + 1)
		if s.restIsEmpty(s.pos - 1) {
			s.nextLine()
			return
		}
	}
	first := s.pos
	if s.skipAnchors(); s.pos > first && s.restIsEmpty(s.pos-1) {
		s.nextLine()
		return
	}
	keyEnd := s.keyEnd()
	if keyEnd < 0 {
		s.value("", column)
		return
	}
	column = first - start
	s.open(column)
	key := strings.TrimSpace(s.text[s.pos:keyEnd])
	s.pos = s.blanks(keyEnd + 1)
	if s.restIsEmpty(keyEnd + 1) {
		s.nextLine()
		return
	}
	s.value(key, column)
}

// skipAnchors skips the anchors before a value.
func (s *lineScanner) skipAnchors() {
	for s.peek(s.pos) == '&' {
		end := s.wordEnd(s.pos)
		s.anchors = append(s.anchors, s.text[s.pos+1:end])
		s.pos = s.blanks(end)
	}
}

// keyEnd returns the offset of the colon of a key that starts at pos, or -1.
func (s *lineScanner) keyEnd() int {
	pos := s.pos
	switch c := s.peek(pos); c {
	case '"', '\'':
		end, ok := s.quoteEnd(pos, -1)
		if !ok || strings.Contains(s.text[pos:end], "\n") {
			return -1
		}
		pos = s.blanks(end)
		if s.peek(pos) == ':' && s.atEnd(pos+1) {
			return pos
		}
		return -1
	case '[', '{', '|', '>', '@', '`', '%', ',', '#':
		return -1
	}
	for ; pos < len(s.text) && s.text[pos] != '\n'; pos++ {
		switch {
		case s.text[pos] == ':' && s.atEnd(pos+1):
			return pos
		case s.text[pos] == '#' && s.atEnd(pos-1):
			return -1
		}
	}
	return -1
}

// quoteEnd returns the end of the quoted text that starts at pos. It is not ok if the text
// ends before that, or continues on a line that is indented by column or less.
func (s *lineScanner) quoteEnd(pos, column int) (end int, ok bool) {
	quote := s.text[pos]
	for pos++; pos < len(s.text); pos++ {
		switch c := s.text[pos]; {
		case c == '\\' && quote == '"':
			pos++
		case c == quote && quote == '\'' && s.peek(pos+1) == quote:
			pos++
		case c == quote:
			return pos + 1, true
		case c == '\n':
			next := s.spaces(pos + 1)
			if next-pos-1 <= column && !s.atEnd(next) && s.text[next] != quote {
				return pos, false
			}
		}
	}
	return len(s.text), false
}

// value scans the value of a key ("": an item) in a list or map at a column.
func (s *lineScanner) value(key string, column int) {
	condition := key == "if" || key == "when"
	s.skipAnchors()
	s.hasValue = !s.restIsEmpty(s.pos)
	switch c := s.peek(s.pos); c {
	case 0, '\r', '\n':
		s.nextLine()
	case '|', '>':
		s.hasValue = false
		s.block(column)
	case '"', '\'':
		s.quoted(condition, column)
	case '[', '{':
		s.flowCollection(condition, column)
	case '!':
		s.d.reportTag(s.pos, s.wordEnd(s.pos))
		s.nextLine()
	case '*':
		for _, name := range s.anchors {
			if end := s.pos + 1 + len(name); strings.HasPrefix(s.text[s.pos+1:], name) && s.restIsEmpty(end) {
				s.nextLine()
				return
			}
		}
		s.badStart("*")
	case '@', '`', '%', ',', ']', '}':
		s.badStart(string(c))
	case '-', '?':
		if key != "" && s.atEnd(s.pos+1) {
			s.badStart(string(c))
			return
		}
		s.plain(column)
	default:
		s.plain(column)
	}
}

// badStart reports an unquoted text that starts with a character reserved by YAML.
func (s *lineScanner) badStart(start string) {
	stop := s.lineEnd(s.pos)
	s.errorf("unquoted-start", s.pos, s.pos+len(start), quoteHint(s.text[s.pos:stop]), "text that starts with %s must be quoted", start)
	s.nextLine()
}

// block skips a literal or folded block in a list or map at a column.
func (s *lineScanner) block(column int) {
	pos := s.pos + 1
	for s.peek(pos) == '-' || s.peek(pos) == '+' || s.peek(pos) >= '0' && s.peek(pos) <= '9' {
		pos++
	}
	if !s.restIsEmpty(pos) {
		s.badStart(s.text[s.pos : s.pos+1])
		return
	}
	s.nextLine()
	for s.pos < len(s.text) {
		first := s.spaces(s.pos)
		if c := s.peek(first); first-s.pos <= column && c != '\r' && c != '\n' && c != 0 {
			return
		}
		s.nextLine()
	}
}

// quote skips a quoted text, and reports its invalid escapes. It is not ok if the text is never
// closed.
func (s *lineScanner) quote(column int) (ok bool) {
	start := s.pos
	s.pos, ok = s.quoteEnd(start, column)
	switch {
	case !ok:
		s.errorf("unclosed-quote", start, start+1, "", "this quote is never closed")
		s.nextLine()
	case s.text[start] == '"':
		s.escapes(start, s.pos)
	}
	return ok
}

// quoted scans a quoted value, and reports text after it on the same line.
func (s *lineScanner) quoted(condition bool, column int) {
	start := s.pos
	if !s.quote(column) {
		return
	}
	next := s.blanks(s.pos)
	switch {
	case s.restIsEmpty(s.pos):
	case condition:
		s.conditionStart(start, s.pos)
	case s.text[start] == '\'':
		s.errorf("text-after-quote", next, next+1, `write '' for ' inside '…', or put the text in "…"`,
			"the quoted text ends before this")
	default:
		s.errorf("text-after-quote", next, next+1, `write \" for " inside "…", or put the text in '…'`,
			"the quoted text ends before this")
	}
	s.nextLine()
}

// conditionStart reports a condition of which YAML reads only the start.
func (s *lineScanner) conditionStart(start, end int) {
	s.errorf("bad-condition-start", start, end, quoteHint(s.text[start:s.lineEnd(start)]),
		"YAML reads only %s of this condition", s.text[start:end])
}

// escapes reports invalid escape sequences.
func (s *lineScanner) escapes(start, end int) {
	for pos := start; pos < end-1; pos++ {
		if s.text[pos] != '\\' {
			continue
		}
		pos++
		size := 0
		switch c := s.text[pos]; c {
		case 'x':
			size = 2
		case 'u':
			size = 4
		case 'U':
			size = 8
		case '/':
			s.errorf("bad-escape", pos-1, pos+1, "write / without the backslash", `\/ is not a valid escape`)
		default:
			if strings.IndexByte("0abt\tnvfre \"'\\N_LP\r\n", c) < 0 {
				_, n := utf8.DecodeRuneInString(s.text[pos:])
				s.errorf("bad-escape", pos-1, pos+n, `write \\ for a backslash, or put the text in '…', where a backslash needs no escape`,
					"%s is not a valid escape inside double quotes", s.text[pos-1:pos+n])
			}
		}
		if size == 0 {
			continue
		}
		digits := s.text[pos+1 : min(pos+1+size, end)]
		n, err := strconv.ParseUint(digits, 16, 32)
		switch {
		case len(digits) < size || err != nil:
			s.errorf("bad-escape", pos-1, pos+1, "", `\%c must be followed by %d hexadecimal digits`, s.text[pos], size)
		case n > unicode.MaxRune || utf16.IsSurrogate(rune(n)):
			s.errorf("bad-escape", pos-1, pos+1+size, "write the character itself instead, such as the emoji", "this escape is not a whole character")
		}
	}
}

// plain scans an unquoted value to the end of its line, and the lines that continue it.
func (s *lineScanner) plain(column int) {
	from, pos := s.pos, s.pos
	stop := s.lineEnd(pos)
	if strings.HasPrefix(s.text[pos:], "{{") {
		s.badStart("{{")
		return
	}
	for ; pos < stop; pos++ {
		switch {
		case s.text[pos] == ':' && s.atEnd(pos+1):
			s.errorf("unquoted-colon", pos, pos+1, quoteHint(s.text[from:stop]),
				"text with a colon next to a space must be quoted")
			s.nextLine()
			return
		case s.text[pos] == '#' && s.atEnd(pos-1):
			value := strings.TrimRight(s.text[from:pos], " \t")
			s.d.checkComment(&Node{Kind: TextNode, Text: diag.Text{Value: value}, Range: s.d.at(from, from+len(value))})
			s.nextLine()
			return
		}
	}
	s.nextLine()
	// Lines that are indented more continue the text.
	for s.pos < len(s.text) {
		first := s.blanks(s.pos)
		c := s.peek(first)
		if c == '\r' || c == '\n' || c == 0 {
			s.nextLine()
			continue
		}
		if first-s.pos <= column || c == '#' {
			return
		}
		end := s.lineEnd(first)
		line := s.text[first:end]
		if s.columnsUnknown {
			return
		}
		if i := keyColon(line); i >= 0 || strings.HasPrefix(line, "- ") {
			previous := strings.TrimSpace(s.text[from:stop])
			s.badIndent(first, "indent both lines the same, or quote the text",
				"this line is indented further than the one above, so it would continue the value %q", previous)
			return
		}
		s.nextLine()
	}
}

// keyColon returns the first colon of a line that ends a key, or -1.
func keyColon(line string) int {
	for i := range len(line) {
		if line[i] == ':' && (i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t') {
			return i
		}
	}
	return -1
}
