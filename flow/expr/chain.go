package expr

import (
	"slices"
	"strings"

	"facteur/flow/diag"

	"github.com/google/cel-go/common/ast"
)

// A chain is a variable followed by field selections, e.g. steps.?reply.outputs.text.
type chain struct {
	root  string
	ident ast.Expr
	links []link
	test  bool // the argument of has(…)
}

// A link is one field of a chain.
type link struct {
	name     string
	optional bool // .?name
	at       ast.Expr
}

// chainOf returns e as a chain; ok is false for any other expression.
func chainOf(e ast.Expr) (ch chain, ok bool) {
	for {
		switch e.Kind() {
		case ast.IdentKind:
			ch.root, ch.ident = e.AsIdent(), e
			slices.Reverse(ch.links)
			return ch, true
		case ast.SelectKind:
			sel := e.AsSelect()
			ch.test = ch.test || sel.IsTestOnly()
			ch.links = append(ch.links, link{name: sel.FieldName(), at: e})
			e = sel.Operand()
		case ast.CallKind:
			c := e.AsCall()
			if c.FunctionName() != optSelect || len(c.Args()) != 2 {
				return ch, false
			}
			name, ok := textOf(c.Args()[1])
			if !ok {
				return ch, false
			}
			ch.links = append(ch.links, link{name: name, optional: true, at: e})
			e = c.Args()[0]
		default:
			return ch, false
		}
	}
}

func (ch chain) String() string {
	var b strings.Builder
	b.WriteString(ch.root)
	for _, l := range ch.links {
		b.WriteByte('.')
		if l.optional {
			b.WriteByte('?')
		}
		b.WriteString(l.name)
	}
	return b.String()
}

// names returns the variable and the fields.
func (ch chain) names() []string {
	names := []string{ch.root}
	for _, l := range ch.links {
		names = append(names, l.name)
	}
	return names
}

func (ch chain) optional() bool {
	return slices.ContainsFunc(ch.links, func(l link) bool { return l.optional })
}

func (ch chain) start(p positions) int { return p.offset(ch.ident.ID()) }

// upTo returns the range from the variable to the n-th link, or to the last one if there are
// fewer.
func (ch chain) upTo(p positions, n int) diag.Range {
	start := ch.start(p)
	n = min(n, len(ch.links))
	if start < 0 || n == 0 {
		return p.at(start)
	}
	_, end := p.token(ch.links[n-1].at)
	if end <= start {
		return p.at(start)
	}
	return p.text.Range(start, end)
}
