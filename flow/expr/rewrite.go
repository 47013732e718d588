package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// makeTestsOptional makes chains that end in a test, as in has(steps.a.outputs.x) and
// steps.a.outputs.?x, optional from the step on: a skipped step has no outputs, and the test
// should be false then, not an error.
func makeTestsOptional(a *ast.AST) {
	r := rewriter{tree: a}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if l, ok := linkOf(e); !ok || !l.optional && !isTest(e) {
			return
		}
		for of := operandOf(e); of.Kind() == ast.SelectKind && !isTest(of); of = of.AsSelect().Operand() {
			sel := of.AsSelect()
			if root := sel.Operand(); root.Kind() == ast.IdentKind && strings.TrimPrefix(root.AsIdent(), ".") == "steps" {
				of.SetKindCase(factory.NewCall(of.ID(), optSelect, root, factory.NewLiteral(r.id(), types.String(sel.FieldName()))))
				return
			}
		}
	}))
}

// wrapTests turns has(x.f) of a checked expression with an optional x into x.?f.hasValue():
// inside ? : CEL evaluates the former to an optional.
func wrapTests(a *ast.AST) {
	r := rewriter{tree: a}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if !isTest(e) || !isOptional(a.GetType(operandOf(e).ID())) {
			return
		}
		sel := e.AsSelect()
		name, part := r.id(), r.id()
		a.SetType(name, types.StringType)
		a.SetType(part, types.NewOptionalType(types.DynType))
		a.SetReference(part, ast.NewFunctionReference("select_optional_field"))
		a.SetReference(e.ID(), ast.NewFunctionReference("optional_hasValue"))
		e.SetKindCase(factory.NewMemberCall(e.ID(), "hasValue",
			factory.NewCall(part, optSelect, sel.Operand(), factory.NewLiteral(name, types.String(sel.FieldName())))))
	}))
}

// sortRanges wraps the ranges of a checked expression's comprehensions in @sorted.
func sortRanges(a *ast.AST) {
	r := rewriter{tree: a}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		c := e.AsComprehension()
		over := c.IterRange()
		t := a.GetType(over.ID())
		if t.Kind() != types.MapKind && t.Kind() != types.DynKind {
			return
		}
		call := factory.NewCall(r.id(), sortedName, over)
		a.SetType(call.ID(), t)
		a.SetReference(call.ID(), ast.NewFunctionReference(sortedOverload))
		e.SetKindCase(factory.NewComprehensionTwoVar(e.ID(), call, c.IterVar(), c.IterVar2(),
			c.AccuVar(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()))
	}))
}

var factory = ast.NewExprFactory()

// A rewriter gives the ids of new nodes of an expression.
type rewriter struct {
	tree *ast.AST
	next int64 // 0: not known yet
}

func (r *rewriter) id() int64 {
	if r.next == 0 {
		r.next = ast.MaxID(r.tree)
	}
	r.next++
	return r.next - 1
}
