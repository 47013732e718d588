package expr

import (
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"

	"github.com/google/cel-go/common/ast"
)

// positions finds the source ranges of an expression's parts. CEL counts code points, and
// gives for a node the position of its operator: a field is at its dot, a call at its
// parenthesis.
type positions struct {
	text  diag.Text
	info  *ast.SourceInfo
	ascii bool
}

func newPositions(text diag.Text, a *ast.AST) positions {
	p := positions{text: text, ascii: true}
	if a != nil {
		p.info = a.SourceInfo()
	}
	for i := 0; i < len(text.Value); i++ {
		if text.Value[i] >= utf8.RuneSelf {
			p.ascii = false
			break
		}
	}
	return p
}

// offset returns the byte offset of a node, -1 if it has none.
func (p positions) offset(id int64) int {
	o, ok := p.info.GetOffsetRange(id)
	if !ok {
		return -1
	}
	return p.bytes(int(o.Start))
}

// bytes converts a number of code points to one of bytes.
func (p positions) bytes(points int) int {
	s := p.text.Value
	if p.ascii {
		return min(points, len(s))
	}
	at := 0
	for ; points > 0 && at < len(s); points-- {
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
	}
	return at
}

// at returns the token at a byte offset: a name, an operator of two characters, or one
// character.
func (p positions) at(i int) diag.Range {
	if i < 0 {
		return p.whole()
	}
	end := p.nameEnd(i)
	if end == i && i < len(p.text.Value) {
		_, n := utf8.DecodeRuneInString(p.text.Value[i:])
		end += n
		switch two := p.text.Value[i:min(i+2, len(p.text.Value))]; two {
		case "==", "!=", "<=", ">=", "&&", "||", "${":
			end = i + 2
		}
	}
	return p.text.Range(i, end)
}

// whole returns the range of the expression without surrounding white space.
func (p positions) whole() diag.Range {
	i := p.space(0)
	j := len(p.text.Value)
	for j > i && isSpace(p.text.Value[j-1]) {
		j--
	}
	return p.text.Range(i, j)
}

// node returns the range of the token that stands for a node: an operator, a name, a literal;
// of a field its name, of a call that of the function.
func (p positions) node(e ast.Expr) diag.Range {
	i, j := p.token(e)
	if i < 0 {
		return p.whole()
	}
	if i == j {
		return p.at(i)
	}
	return p.text.Range(i, j)
}

// token returns the byte offsets of a node's token; they are equal if its end is unknown.
func (p positions) token(e ast.Expr) (i, j int) {
	s := p.text.Value
	at := p.offset(e.ID())
	if at < 0 {
		return -1, -1
	}
	switch e.Kind() {
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() { // its own position is that of has(…)
			if _, end := p.token(e.AsSelect().Operand()); end > 0 {
				at = p.space(end)
			}
		}
		return p.field(at)
	case ast.CallKind:
		if e.AsCall().FunctionName() == optSelect {
			return p.field(at)
		}
		if at < len(s) && s[at] == '(' {
			end := at
			for end > 0 && isSpace(s[end-1]) {
				end--
			}
			start := end
			dotted := strings.Contains(e.AsCall().FunctionName(), ".")
			for start > 0 && (isNameByte(s[start-1]) || dotted && s[start-1] == '.') {
				start--
			}
			return start, end
		}
	case ast.LiteralKind:
		if at < len(s) && (s[at] == '"' || s[at] == '\'') {
			if end := stringEnd(s, at); end > 0 {
				return at, end
			}
		}
	}
	return at, p.nameEnd(at)
}

// field returns the offsets of the name after the dot at i.
func (p positions) field(i int) (int, int) {
	s := p.text.Value
	if i < len(s) && s[i] == '.' {
		i = p.space(i + 1)
		if i < len(s) && s[i] == '?' {
			i = p.space(i + 1)
		}
	}
	if i < len(s) && s[i] == '`' {
		for j := i + 1; j < len(s); j++ {
			if s[j] == '`' {
				return i, j + 1
			}
		}
	}
	return i, p.nameEnd(i)
}

func (p positions) nameEnd(i int) int {
	for i < len(p.text.Value) && isNameByte(p.text.Value[i]) {
		i++
	}
	return i
}

func (p positions) space(i int) int {
	for i < len(p.text.Value) && isSpace(p.text.Value[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
