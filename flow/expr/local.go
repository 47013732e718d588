package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// A local is a name that a comprehension has taken.
type local struct {
	name   string
	key    string   // of its own among the facts
	tested []string // of a list: the parts that every element has, such as .note
}

func (g *guard) local(name string) *local {
	for i := len(g.locals) - 1; i >= 0; i-- {
		if g.locals[i].name == name {
			return &g.locals[i]
		}
	}
	return nil
}

// take declares a name of a comprehension.
func (g *guard) take(e ast.Expr, name string, tested []string) *local {
	g.locals = append(slices.Clip(g.locals), local{name, fmt.Sprintf("%s@%d", name, e.ID()), tested})
	return &g.locals[len(g.locals)-1]
}

// comprehension visits what a macro has become: a loop, or a name for a value.
func (g *guard) comprehension(e ast.Expr, in Facts) {
	c := e.AsComprehension()
	g.walk(c.IterRange(), in)
	g.walk(c.AccuInit(), in)
	outer := g.locals
	defer func() { g.locals = outer }()
	var known []string // about each element of the result
	if over := c.IterRange(); over.Kind() == ast.ListKind && over.AsList().Size() == 0 {
		g.take(e, c.AccuVar(), g.tested(c.AccuInit()))
		g.walk(c.Result(), in)
		known = g.tested(c.Result())
	} else {
		tested := g.tested(over)
		item := g.take(e, c.IterVar(), nil)
		if c.HasIterVar2() {
			item = g.take(e, c.IterVar2(), nil)
		}
		for _, part := range tested {
			in = in.and(about(item.key+part, Skipped))
		}
		g.take(e, c.AccuVar(), nil)
		if condition, ok := filterOf(c); ok {
			yes, _ := g.walk(condition, in)
			known = union(tested, yes.under(item.key))
		} else {
			g.walk(c.LoopCondition(), in)
			g.walk(c.LoopStep(), in)
		}
		g.locals = outer
		g.take(e, c.AccuVar(), nil)
		g.walk(c.Result(), in)
	}
	if known != nil {
		if g.parts == nil {
			g.parts = map[int64][]string{}
		}
		g.parts[e.ID()] = known
	}
}

// tested returns which parts each element of a list that was visited has, such as .note,
// since a filter asked for them.
func (g *guard) tested(list ast.Expr) []string {
	switch list.Kind() {
	case ast.IdentKind:
		if l := g.local(list.AsIdent()); l != nil {
			return l.tested
		}
	case ast.CallKind:
		c := list.AsCall()
		switch c.FunctionName() {
		case "@sortByAssociatedKeys", "sort", "reverse", "slice", "distinct":
			if c.IsMemberFunction() {
				return g.tested(c.Target())
			}
		}
	case ast.ComprehensionKind:
		return g.parts[list.ID()]
	}
	return nil
}

// under returns what is proved to be there of what stands at a place, such as .note.
func (f Facts) under(place string) (parts []string) {
	for key, known := range f.steps {
		if part, ok := strings.CutPrefix(key, place+"."); ok && known.not&Skipped != 0 {
			parts = append(parts, "."+part)
		}
	}
	slices.Sort(parts)
	return parts
}

// filterOf returns the condition of x.filter(…).
func filterOf(c ast.ComprehensionExpr) (condition ast.Expr, ok bool) {
	step := c.LoopStep()
	if c.HasIterVar2() || step.Kind() != ast.CallKind || step.AsCall().FunctionName() != operators.Conditional {
		return nil, false
	}
	args := step.AsCall().Args()
	if args[1].Kind() != ast.CallKind || args[1].AsCall().FunctionName() != operators.Add {
		return nil, false
	}
	added := args[1].AsCall().Args()[1]
	if added.Kind() != ast.ListKind || added.AsList().Size() != 1 {
		return nil, false
	}
	item := added.AsList().Elements()[0]
	return args[0], item.Kind() == ast.IdentKind && item.AsIdent() == c.IterVar()
}
