package expr

import (
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"

	"github.com/google/cel-go/common/ast"
)

// places finds where the parts of an expression stand. CEL counts code points and
// gives an operator's place for what it joins: a field stands at its dot, a call at
// its parenthesis.
type places struct {
	text  diag.Text
	info  *ast.SourceInfo
	ascii bool
}

func newPlaces(text diag.Text, a *ast.AST) places {
	p := places{text: text, ascii: true}
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

// offset returns the byte offset of CEL's position for a node, -1 when it has none.
func (p places) offset(id int64) int {
	o, ok := p.info.GetOffsetRange(id)
	if !ok {
		return -1
	}
	return p.bytes(int(o.Start))
}

// bytes turns a number of code points into one of bytes.
func (p places) bytes(points int) int {
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

// at returns the token at a byte offset: a name, or one character.
func (p places) at(i int) diag.Range {
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

// near returns the place of a node, or the given one when the node has none.
func (p places) near(id int64, otherwise diag.Range) diag.Range {
	if p.info == nil || id == 0 {
		return otherwise
	}
	if i := p.offset(id); i >= 0 {
		return p.at(i)
	}
	return otherwise
}

// whole returns the expression without the white space around it.
func (p places) whole() diag.Range {
	i := p.space(0)
	j := len(p.text.Value)
	for j > i && isSpace(p.text.Value[j-1]) {
		j--
	}
	return p.text.Range(i, j)
}

// node returns the token that stands for a node: an operator, a name, a literal; for a
// field its name, for a call the function's.
func (p places) node(e ast.Expr) diag.Range {
	i, j := p.token(e)
	if i < 0 {
		return p.whole()
	}
	if i == j {
		return p.at(i)
	}
	return p.text.Range(i, j)
}

// token returns the bytes of a node's token; they are equal when its end is unknown.
func (p places) token(e ast.Expr) (i, j int) {
	s := p.text.Value
	at := p.offset(e.ID())
	if at < 0 {
		return -1, -1
	}
	switch e.Kind() {
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() { // its own place is that of has(…)
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

// field returns the name after the dot at i.
func (p places) field(i int) (int, int) {
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

func (p places) nameEnd(i int) int {
	for i < len(p.text.Value) && isNameByte(p.text.Value[i]) {
		i++
	}
	return i
}

func (p places) space(i int) int {
	for i < len(p.text.Value) && isSpace(p.text.Value[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
