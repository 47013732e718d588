package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
)

// Reads calls field with the name of each field of a variable that the program reads, and
// with "" where it reads the variable as a whole.
func (p *Program) Reads(variable string, field func(name string)) {
	if p.whole != nil {
		p.whole.reads(variable, field)
	}
	for _, part := range p.parts {
		if part.expr != nil {
			part.expr.reads(variable, field)
		}
	}
}

// Deterministic tells whether the program gives the same whenever a run evaluates it, and whatever
// became of the run's steps: it reads what the run was given, and neither time nor chance.
func (p *Program) Deterministic() bool {
	steady := p.whole == nil || p.whole.steady()
	for _, part := range p.parts {
		steady = steady && (part.expr == nil || part.expr.steady())
	}
	return steady
}

func (e *expression) steady() bool {
	changes := func(variable string) bool {
		switch strings.TrimPrefix(variable, ".") {
		case "steps", "vars", "run", "event", "error", nowVariable, randomVariable:
			return true
		}
		return false
	}
	if e.checked == nil {
		return !changes(e.path[0])
	}
	steady := true
	ast.PreOrderVisit(e.checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		steady = steady && (e.Kind() != ast.IdentKind || !changes(e.AsIdent()))
	}))
	return steady
}

func (e *expression) reads(variable string, field func(name string)) {
	if e.checked == nil {
		switch {
		case e.path[0] != variable:
		case len(e.path) == 1:
			field("")
		default:
			field(e.path[1])
		}
		return
	}
	if !strings.Contains(e.source.Value, variable) {
		return
	}
	named := map[int64]bool{} // where the variable is followed by a field
	ast.PreOrderVisit(e.checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if strings.TrimPrefix(e.AsIdent(), ".") == variable && !named[e.ID()] {
				field("")
			}
		case ast.SelectKind, ast.CallKind:
			if ch, ok := chainOf(e); ok && strings.TrimPrefix(ch.root, ".") == variable && len(ch.links) > 0 && !named[ch.ident.ID()] {
				named[ch.ident.ID()] = true
				field(ch.links[0].name)
			}
		}
	}))
}
