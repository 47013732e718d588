package expr

import (
	"strings"

	"facteur/flow/diag"
)

// A Part of a text is either plain text or an expression.
type Part struct {
	Text  string     // of plain text, with $${ already replaced by ${
	Expr  *diag.Text // between ${ and }; nil for plain text
	Range diag.Range // as written, including ${ and }
}

// Scan splits a text at its ${…}. An expression ends at the matching }: braces in CEL strings
// and comments do not count. $${ is a literal ${, a lone $ is plain. A part whose end cannot
// be found is reported and left out.
func Scan(t diag.Text) ([]Part, diag.List) {
	s := t.Value
	if !strings.Contains(s, "${") {
		return []Part{{Text: s, Range: t.Whole}}, nil
	}
	var (
		parts []Part
		list  diag.List
		plain strings.Builder
		from  int // where the plain text began
	)
	flush := func(end int) {
		if plain.Len() > 0 {
			parts = append(parts, Part{Text: plain.String(), Range: t.Range(from, end)})
			plain.Reset()
		}
	}
	for i := 0; i < len(s); {
		next := strings.IndexByte(s[i:], '$')
		if next < 0 {
			plain.WriteString(s[i:])
			break
		}
		plain.WriteString(s[i : i+next])
		i += next
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			plain.WriteString("${")
			i += 3
			continue
		case !strings.HasPrefix(s[i:], "${"):
			plain.WriteByte('$')
			i++
			continue
		}
		end, quote := closing(s, i+2)
		if end < 0 {
			hint := "close it with }"
			if quote >= 0 {
				hint = "a quote in it is never closed: " + strings.TrimSpace(shorten(s[quote:], 20))
			} else if strings.Contains(s[i:], "//") {
				hint = "// starts a comment that runs to the end of the line; close the expression with }"
			}
			list.Errorf("unterminated-expression", t.Range(i, i+2), hint, "this ${ is never closed")
			return parts, list
		}
		flush(i)
		inner := t.Cut(i+2, end)
		whole := t.Range(i, end+1)
		switch {
		case strings.HasPrefix(inner.Value, "{"):
			list.Errorf("double-braces", t.Range(i, i+3), "write ${ … } with one brace; a map literal needs a space: ${ {…} }", "${{ … }} is not an expression here")
		case strings.TrimSpace(inner.Value) == "":
			list.Errorf("empty-expression", whole, "write an expression such as ${inputs.phone}, or $${ for the text ${", "there is no expression in ${}")
		default:
			parts = append(parts, Part{Expr: &inner, Range: whole})
		}
		i = end + 1
		from = i
	}
	flush(len(s))
	return parts, list
}

// closing returns the offset of the } that closes an expression beginning at i. If there is
// none it returns -1, and the offset of the unterminated string that is the cause, if one is.
func closing(s string, i int) (end, quote int) {
	depth := 0
	for i < len(s) {
		switch c := s[i]; {
		case c == '{':
			depth++
		case c == '}':
			if depth == 0 {
				return i, -1
			}
			depth--
		case c == '"' || c == '\'':
			after := stringEnd(s, i)
			if after < 0 {
				return -1, i
			}
			i = after
			continue
		case c == '/' && strings.HasPrefix(s[i:], "//"):
			line := strings.IndexByte(s[i:], '\n')
			if line < 0 {
				return -1, -1
			}
			i += line
		}
		i++
	}
	return -1, -1
}

// stringEnd returns the offset after the CEL string whose opening quote is at i, or -1.
func stringEnd(s string, i int) int {
	raw := isRaw(s, i)
	quote := s[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s[i:], triple) {
		quote = triple
	}
	for i += len(quote); i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		case s[i] == '\\' && !raw:
			i++
		case s[i] == '\n' && len(quote) == 1:
			return -1
		}
	}
	return -1
}

// isRaw reports whether the string whose quote is at i has the prefix r, also combined with b.
func isRaw(s string, i int) bool {
	if i == 0 || s[i-1]|0x20 != 'r' {
		return false
	}
	i--
	if i > 0 && s[i-1]|0x20 == 'b' {
		i--
	}
	return i == 0 || !isNameByte(s[i-1])
}

func isNameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}
