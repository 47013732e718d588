package flow

import "strings"

// An openBracket is a { or [ that has not been closed yet.
type openBracket struct {
	at         int  // its offset
	closer     byte // the matching closing bracket
	colons     int  // in the current entry
	valueStart int  // offset of the current entry's value
	tokenStart int  // offset of the latest unquoted text
}

// flowCollection scans a value that starts with { or [.
func (s *lineScanner) flowCollection(condition bool, column int) {
	start := s.pos
	if strings.HasPrefix(s.text[start:], "{{") {
		end := s.lineEnd(start)
		s.errorf("unquoted-braces", start, start+2, quoteHint(s.text[start:end]), "text that starts with {{ must be quoted")
		s.nextLine()
		return
	}
	if closed := s.brackets(column); !closed {
		return
	}
	if !s.restIsEmpty(s.pos) {
		next := s.blanks(s.pos)
		if condition {
			s.conditionStart(start, s.pos)
		} else {
			s.errorf("text-after-bracket", next, next+1, quoteHint(s.text[start:s.lineEnd(next)]),
				"the list or map ends before this")
		}
	}
	s.nextLine()
}

// brackets scans up to the bracket that closes the one at pos. If there is none it returns
// false, with pos where scanning of lines can resume.
func (s *lineScanner) brackets(column int) (closed bool) {
	var levels []openBracket
	token := true // a value or key may start here
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case (c == '{' || c == '[') && !token && len(levels) > 0: // YAML ends an unquoted text here
			start := levels[len(levels)-1].tokenStart
			end := s.textEnd(s.pos)
			s.errorf("unquoted-bracket", s.pos, s.pos+1, quoteHint(s.text[start:end]), "text with %c inside { } or [ ] must be quoted", c)
			s.pos = end
			continue
		case c == '{' || c == '[':
			levels = append(levels, openBracket{at: s.pos, closer: c + 2})
			token = true
		case c == '}' || c == ']':
			top := levels[len(levels)-1]
			if c != top.closer {
				s.errorf("unclosed-bracket", s.pos, s.pos+1, "", "%c cannot close the %c on line %d, which needs %c", c, s.text[top.at], s.d.at(top.at, top.at).Pos().Line, top.closer)
				s.nextLine()
				return false
			}
			levels = levels[:len(levels)-1]
			if len(levels) == 0 {
				s.pos++
				return true
			}
			token = false
		case c == ',':
			levels[len(levels)-1].colons = 0
			token = true
		case (c == '"' || c == '\'') && token:
			start := s.pos
			if !s.quote(column) {
				return false
			}
			if next := s.blanks(s.pos); strings.IndexByte(",]}:#\r\n\x00", s.peek(next)) < 0 {
				s.errorf("text-after-quote", next, next+1, "use the other kind of quotes around the text, or escape the inner ones",
					"the quoted text %s ends before this", s.text[start:s.pos])
				s.skipToken()
			}
			token = false
			continue
		case c == '#' && s.atEnd(s.pos-1):
			stop := s.lineEnd(s.pos)
			if comment := s.text[s.pos:stop]; strings.ContainsAny(comment, "}]") || strings.Contains(comment, "${") {
				s.errorf("unquoted-hash", s.pos, stop, "quote the text that contains the #",
					"everything after # is a comment, including the closing bracket")
				s.nextLine()
				return false
			}
			s.pos = stop
			continue
		case c == '\n':
			next := s.spaces(s.pos + 1)
			outdented := next-s.pos-1 <= column && !s.atEnd(next) && strings.IndexByte("]}#", s.text[next]) < 0
			if outdented || s.atEnd(next) && next == len(s.text) {
				s.unclosed(levels)
				s.pos++
				return false
			}
		case c == ' ' || c == '\t' || c == '\r':
		case c == ':' && (s.atEnd(s.pos+1) || strings.IndexByte(",]}", s.peek(s.pos+1)) >= 0):
			top := &levels[len(levels)-1]
			switch top.colons++; top.colons {
			case 1:
				top.valueStart = s.pos + 1
			case 2:
				colon := s.pos
				end, _ := s.tokenEnd(colon+1, true)
				s.errorf("unquoted-colon", colon, colon+1, quoteHint(strings.TrimSpace(s.text[top.valueStart:end])),
					"text with a colon next to a space must be quoted")
				s.pos = end
				continue
			}
			token = true
		case token:
			levels[len(levels)-1].tokenStart = s.pos
			s.flowToken()
			token = false
			continue
		}
		s.pos++
	}
	s.unclosed(levels)
	return false
}

func (s *lineScanner) unclosed(levels []openBracket) {
	top := levels[len(levels)-1]
	s.errorf("unclosed-bracket", top.at, top.at+1, "", "this %c is never closed with %c", s.text[top.at], top.closer)
}

// maxExpression bounds the search for the end of an expression, in bytes.
const maxExpression = 4 << 10

// flowToken scans an unquoted text inside brackets, and reports one that holds an expression.
func (s *lineScanner) flowToken() {
	start := s.pos
	end, dollar := s.tokenEnd(start, false)
	s.pos = end
	token := strings.TrimSpace(s.text[start:s.pos])
	if dollar < 0 {
		// YAML allows it, but yaml.v3 ends the text there.
		if i := strings.IndexByte(token, '?'); i >= 0 {
			s.errorf("unquoted-question", start+i, start+i+1, quoteHint(token), "text with ? inside { } or [ ] must be quoted")
		}
		return
	}
	quoted, ok := inQuotes(token)
	if !ok {
		quoted = `"${…}"`
	}
	s.errorf("unquoted-expression", dollar, max(dollar+2, start+len(token)), "", "quote an expression inside { } or [ ]: %s", quoted)
}

// tokenEnd returns the end of an unquoted text inside brackets, and the offset of the first
// expression in it, -1 for none. With colons a colon is part of the text; without, it ends a
// text that has no expression before it.
func (s *lineScanner) tokenEnd(pos int, colons bool) (end, dollar int) {
	dollar = -1
	for pos < len(s.text) {
		c := s.text[pos]
		if c == '$' && s.peek(pos+1) == '{' {
			if dollar < 0 {
				dollar = pos
			}
			rest, _, _ := strings.Cut(s.text[pos:min(len(s.text), pos+maxExpression)], "\n")
			end := closing(rest)
			if end < 0 {
				return pos + len(rest), dollar
			}
			pos += end + 1
			continue
		}
		if strings.IndexByte(",[]{}\r\n", c) >= 0 || c == '#' && s.atEnd(pos-1) {
			break
		}
		if c == ':' && s.atEnd(pos+1) && dollar < 0 && !colons {
			break
		}
		pos++
	}
	return pos, dollar
}

// textEnd returns the end of an unquoted text that has brackets from pos on.
func (s *lineScanner) textEnd(pos int) int {
	depth := 0
	for ; pos < len(s.text) && (depth > 0 || s.text[pos] != '\n'); pos++ {
		switch c := s.text[pos]; c {
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return pos
			}
			if c != ',' {
				depth--
			}
		case '"', '\'':
			if i := strings.IndexByte(s.text[pos+1:s.lineEnd(pos)], c); i >= 0 {
				pos += i + 1
			}
		}
	}
	return pos
}

// skipToken skips to the next comma or bracket.
func (s *lineScanner) skipToken() {
	for s.pos < len(s.text) && strings.IndexByte(",]}\n", s.text[s.pos]) < 0 {
		s.pos++
	}
}
