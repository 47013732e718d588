package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
)

// Reads calls field with the name of each field of a variable that the program reads, and with
// "" if it reads the variable as a whole.
func (p *Program) Reads(variable string, field func(name string)) {
	for e := range p.expressions {
		if !strings.Contains(e.source.Value, variable) {
			continue
		}
		e.eachPath(func(names []string) {
			switch {
			case names[0] != variable:
			case len(names) == 1:
				field("")
			default:
				field(names[1])
			}
		})
	}
}

// Deterministic reports whether the program has the same result whenever a run evaluates it,
// whatever the outcomes of its steps: it reads only what the run was started with, no time and
// no random values.
func (p *Program) Deterministic() bool {
	deterministic := true
	for e := range p.expressions {
		e.eachPath(func(names []string) {
			switch names[0] {
			case "steps", "vars", "run", "event", "error", nowVariable, randomVariable:
				deterministic = false
			}
		})
	}
	return deterministic
}

// Paths returns the dotted paths that an expression reads, such as steps.ask.status, in order;
// nil if it is not valid CEL.
func Paths(source string) (paths []string) {
	parsed, issues := shared().cel.Parse(source)
	if issues.Err() != nil {
		return nil
	}
	eachPath(parsed.NativeRep().Expr(), func(names []string) { paths = append(paths, strings.Join(names, ".")) })
	return paths
}

func (e *expression) eachPath(f func(names []string)) {
	if e.checked == nil {
		f(e.path)
		return
	}
	eachPath(e.checked.Expr(), f)
}

// eachPath calls f with each variable of an expression and the fields that follow it.
func eachPath(e ast.Expr, f func(names []string)) {
	seen := map[int64]bool{} // the variables of longer paths
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if ch, ok := chainOf(e); ok && !seen[ch.ident.ID()] {
			seen[ch.ident.ID()] = true
			ch.root = strings.TrimPrefix(ch.root, ".")
			f(ch.names())
		}
	}))
}
