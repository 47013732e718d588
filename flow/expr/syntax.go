package expr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"facteur/flow/diag"

	"github.com/google/cel-go/common"
)

// syntaxErrors reports the errors of CEL's parser. Only the first one is shown: the others
// follow from it.
func syntaxErrors(p positions, problems []*common.Error, list *diag.List) {
	reported := false
	for _, problem := range problems {
		at := p.locate(problem.Location)
		message, isSyntax := strings.CutPrefix(problem.Message, "Syntax error: ")
		switch {
		case !isSyntax && !reported:
			text, hint := macroMessage(message), ""
			if name, ok := strings.CutPrefix(text, "reserved identifier: "); ok {
				reported = true
				text, hint = "unexpected "+name+", which is a reserved word in expressions", functionHint(name)
			}
			list.Errorf("expression-syntax", p.at(at), hint, "%s", text)
		case isSyntax && !reported:
			reported = true
			text, hint := syntaxMessage(message, p.text.Value, at)
			where := p.at(at)
			if at >= len(strings.TrimRight(p.text.Value, " \t\r\n")) {
				where = p.text.Range(len(p.text.Value), len(p.text.Value))
			}
			list.Errorf("expression-syntax", where, hint, "%s", text)
		}
	}
}

// locate returns the byte offset of a location, -1 if it is invalid.
func (p positions) locate(l common.Location) int {
	if l == nil || l.Line() < 1 {
		return -1
	}
	start := 0
	for line := 1; line < l.Line(); line++ {
		next := strings.IndexByte(p.text.Value[start:], '\n')
		if next < 0 {
			return len(p.text.Value)
		}
		start += next + 1
	}
	rest := positions{text: p.text, ascii: p.ascii}
	rest.text.Value = p.text.Value[start:]
	return start + rest.bytes(l.Column())
}

func macroMessage(message string) string {
	switch {
	case strings.Contains(message, "recursion limit") || strings.Contains(message, "recursion depth"):
		return "the expression is nested too deeply"
	case strings.Contains(message, "size exceeds limit"):
		return "the expression is too long"
	case strings.Contains(message, "invalid argument to has()"):
		return "has(…) takes a field, such as has(inputs.name)"
	case strings.Contains(message, "argument must be a simple name"), strings.Contains(message, "argument is not an identifier"):
		return "the first argument names the element, such as list.map(x, x + 1)"
	}
	return strings.ToLower(message[:1]) + message[1:]
}

// syntaxMessage says what is wrong at an offset of the source, and how to fix it.
func syntaxMessage(message, source string, at int) (text, hint string) {
	rest := ""
	if at >= 0 && at < len(source) {
		rest = source[at:]
	}
	before := strings.TrimRight(source[:max(at, 0)], " \t\r\n")
	if strings.TrimSpace(rest) == "" {
		hint := unclosed(source)
		switch {
		case hint != "":
		case strings.Contains(source, "?."):
			hint = "to read what may be absent, write a.?b with the dot first"
		case strings.Contains(message, "expecting ':'"):
			hint = bothValues
		}
		return "the expression ends too early", hint
	}
	switch token := firstToken(rest); {
	case rest[0] == '"' || rest[0] == '\'':
		if stringEnd(rest, 0) < 0 {
			return "the string that begins here is never closed", "close it with " + rest[:1]
		}
		return "a string is not expected here", "put an operator such as + before it, or , between arguments"
	case strings.HasPrefix(rest, "“"), strings.HasPrefix(rest, "”"), strings.HasPrefix(rest, "‘"), strings.HasPrefix(rest, "’"), strings.HasPrefix(rest, "«"):
		return "unexpected " + token, `strings are written between straight quotes, "…" or '…'`
	case rest[0] == '=':
		return "unexpected =", "== compares two values"
	case strings.HasPrefix(rest, "?") && strings.HasSuffix(before, "?"), strings.HasPrefix(rest, "??"):
		return "unexpected ??", `to read what may be absent, write a.?b.orValue("")`
	case rest[0] == '&', rest[0] == '|':
		return "unexpected " + rest[:1], strings.Repeat(rest[:1], 2) + " joins two conditions"
	case rest[0] == '$', rest[0] == '#', rest[0] == ';', rest[0] == '@':
		if strings.HasPrefix(rest, "${") {
			return "unexpected ${", "inside an expression, write a name without ${ }"
		}
	case token == "and", token == "or", token == "not", token == "is":
		return "unexpected " + token, map[string]string{"and": "&& is “and”", "or": "|| is “or”", "not": "! is “not”", "is": "== compares two values"}[token]
	case strings.HasSuffix(before, " not") || before == "not":
		return "unexpected " + token, "! is “not”"
	case rest[0] == ')' || rest[0] == ']' || rest[0] == '}':
		return "unexpected " + token, ""
	case strings.Contains(message, "mismatched input") && strings.Contains(message, "expecting ':'"):
		return "unexpected " + token, bothValues
	case rest[0] == ',' && inParentheses(before):
		return "unexpected ,", "write a list between [ and ]"
	}
	if written := durationAt(source, at); written != "" {
		return written + " is not a number", fmt.Sprintf("write a duration as duration(%q)", written)
	}
	if r, size := utf8.DecodeRuneInString(rest); size > 1 && unicode.IsSpace(r) {
		return fmt.Sprintf("unexpected special space, %U", r), "replace it with an ordinary space"
	}
	if isKeyword(firstToken(rest)) {
		return "unexpected " + firstToken(rest) + ", which is a reserved word in expressions", ""
	}
	return "unexpected " + firstToken(rest), ""
}

const bothValues = "a condition with ? needs both values: test ? yes : no"

// inParentheses reports whether the end of a text is between the parentheses after an `in`.
func inParentheses(before string) bool {
	i := strings.LastIndexByte(before, '(')
	return i >= 0 && strings.HasSuffix(strings.TrimRight(before[:i], " "), " in")
}

// durationAt returns the duration whose number ends before an offset and whose unit begins
// there, such as 7d; "" if there is none.
func durationAt(source string, at int) string {
	start := at
	for start > 0 && (source[start-1] >= '0' && source[start-1] <= '9' || source[start-1] == '.') {
		start--
	}
	written := source[start:at] + firstToken(source[at:])
	if _, err := parseDuration(written); start == at || err != nil {
		return ""
	}
	return written
}

// firstToken returns the name, number or character at the beginning of a text.
func firstToken(s string) string {
	i := 0
	for i < len(s) && isNameByte(s[i]) {
		i++
	}
	if i > 0 {
		return s[:i]
	}
	for _, r := range s {
		return string(r)
	}
	return ""
}

// unclosed returns a hint at the last bracket or string that is still open.
func unclosed(source string) string {
	var open []byte
	for i := 0; i < len(source); i++ {
		switch c := source[i]; c {
		case '(', '[', '{':
			open = append(open, c)
		case ')', ']', '}':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case '"', '\'':
			end := stringEnd(source, i)
			if end < 0 {
				return "a string is never closed"
			}
			i = end - 1
		}
	}
	if len(open) > 0 {
		return "a " + string(open[len(open)-1]) + " is never closed"
	}
	return ""
}
