package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
)

// Reads calls field with the name of each field of a variable that the program reads, and with
// "" if it reads the variable as a whole.
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

// Deterministic reports whether the program has the same result whenever a run evaluates it,
// whatever the outcomes of its steps: it reads only what the run was started with, no time and
// no random values.
func (p *Program) Deterministic() bool {
	deterministic := p.whole == nil || p.whole.deterministic()
	for _, part := range p.parts {
		deterministic = deterministic && (part.expr == nil || part.expr.deterministic())
	}
	return deterministic
}

func (e *expression) deterministic() bool {
	varies := func(variable string) bool {
		switch strings.TrimPrefix(variable, ".") {
		case "steps", "vars", "run", "event", "error", nowVariable, randomVariable:
			return true
		}
		return false
	}
	if e.checked == nil {
		return !varies(e.path[0])
	}
	deterministic := true
	ast.PreOrderVisit(e.checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		deterministic = deterministic && (e.Kind() != ast.IdentKind || !varies(e.AsIdent()))
	}))
	return deterministic
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
	named := map[int64]bool{} // nodes of the variable that are followed by a field
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
