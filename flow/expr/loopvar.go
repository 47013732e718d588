package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// A loopVar is a variable that a comprehension declares.
type loopVar struct {
	name         string
	key          string   // unique, for the facts
	elementParts []string // of a list: the parts that every element has, such as .note
}

func (pc *presenceChecker) loopVar(name string) *loopVar {
	for i := len(pc.loopVars) - 1; i >= 0; i-- {
		if pc.loopVars[i].name == name {
			return &pc.loopVars[i]
		}
	}
	return nil
}

// declare adds a variable of a comprehension.
func (pc *presenceChecker) declare(e ast.Expr, name string, tested []string) *loopVar {
	pc.loopVars = append(slices.Clip(pc.loopVars), loopVar{name, fmt.Sprintf("%s@%d", name, e.ID()), tested})
	return &pc.loopVars[len(pc.loopVars)-1]
}

// walkComprehension visits the expansion of a macro: a loop, or a name bound to a value.
func (pc *presenceChecker) walkComprehension(e ast.Expr, in Facts) {
	c := e.AsComprehension()
	pc.walk(c.IterRange(), in)
	pc.walk(c.AccuInit(), in)
	outer := pc.loopVars
	defer func() { pc.loopVars = outer }()
	var known []string // parts that each element of the result has
	if over := c.IterRange(); over.Kind() == ast.ListKind && over.AsList().Size() == 0 {
		pc.declare(e, c.AccuVar(), pc.elementParts(c.AccuInit()))
		pc.walk(c.Result(), in)
		known = pc.elementParts(c.Result())
	} else {
		tested := pc.elementParts(over)
		item := pc.declare(e, c.IterVar(), nil)
		if c.HasIterVar2() {
			item = pc.declare(e, c.IterVar2(), nil)
		}
		for _, part := range tested {
			in = in.and(factsAbout(item.key+part, Skipped))
		}
		pc.declare(e, c.AccuVar(), nil)
		if condition, ok := filterOf(c); ok {
			yes, _ := pc.walk(condition, in)
			known = union(tested, yes.presentUnder(item.key))
		} else {
			pc.walk(c.LoopCondition(), in)
			pc.walk(c.LoopStep(), in)
		}
		pc.loopVars = outer
		pc.declare(e, c.AccuVar(), nil)
		pc.walk(c.Result(), in)
	}
	if known != nil {
		if pc.partsByNode == nil {
			pc.partsByNode = map[int64][]string{}
		}
		pc.partsByNode[e.ID()] = known
	}
}

// elementParts returns the parts that each element of a visited list has, such as .note,
// because a filter tested for them.
func (pc *presenceChecker) elementParts(list ast.Expr) []string {
	switch list.Kind() {
	case ast.IdentKind:
		if l := pc.loopVar(list.AsIdent()); l != nil {
			return l.elementParts
		}
	case ast.CallKind:
		c := list.AsCall()
		switch c.FunctionName() {
		case "@sortByAssociatedKeys", "sort", "reverse", "slice", "distinct":
			if c.IsMemberFunction() {
				return pc.elementParts(c.Target())
			}
		}
	case ast.ComprehensionKind:
		return pc.partsByNode[list.ID()]
	}
	return nil
}

// presentUnder returns the parts that are proved to be present below a path, such as .note.
func (f Facts) presentUnder(path string) (parts []string) {
	for key, known := range f.steps {
		if part, ok := strings.CutPrefix(key, path+"."); ok && known.excluded&Skipped != 0 {
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
