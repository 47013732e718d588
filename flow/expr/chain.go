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
	for e.Kind() != ast.IdentKind {
		l, ok := linkOf(e)
		if !ok {
			return ch, false
		}
		ch.test = ch.test || isTest(e)
		ch.links = append(ch.links, l)
		e = operandOf(e)
	}
	ch.root, ch.ident = e.AsIdent(), e
	slices.Reverse(ch.links)
	return ch, true
}

// linkOf returns the field that an expression selects from its operand.
func linkOf(e ast.Expr) (l link, ok bool) {
	switch {
	case e.Kind() == ast.SelectKind:
		return link{name: e.AsSelect().FieldName(), at: e}, true
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == optSelect && len(e.AsCall().Args()) == 2:
		name, ok := textOf(e.AsCall().Args()[1])
		return link{name: name, optional: true, at: e}, ok
	}
	return link{}, false
}

// isTest reports whether an expression is has(…).
func isTest(e ast.Expr) bool { return e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() }

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
