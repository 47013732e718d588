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
	var id int64
	factory := ast.NewExprFactory()
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		var operand ast.Expr
		switch e.Kind() {
		case ast.SelectKind:
			if !e.AsSelect().IsTestOnly() {
				return
			}
			operand = e.AsSelect().Operand()
		case ast.CallKind:
			if e.AsCall().FunctionName() != optSelect || len(e.AsCall().Args()) != 2 {
				return
			}
			operand = e.AsCall().Args()[0]
		}
		for operand != nil && operand.Kind() == ast.SelectKind && !operand.AsSelect().IsTestOnly() {
			sel := operand.AsSelect()
			if root := sel.Operand(); root.Kind() == ast.IdentKind && strings.TrimPrefix(root.AsIdent(), ".") == "steps" {
				if id == 0 {
					id = ast.MaxID(a)
				}
				name := factory.NewLiteral(id, types.String(sel.FieldName()))
				id++
				operand.SetKindCase(factory.NewCall(operand.ID(), optSelect, root, name))
				return
			}
			operand = sel.Operand()
		}
	}))
}

// wrapTests turns has(x.f) of a checked expression with an optional x into x.?f.hasValue():
// inside ? : CEL evaluates the former to an optional.
func wrapTests(a *ast.AST) {
	var id int64
	factory := ast.NewExprFactory()
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind || !e.AsSelect().IsTestOnly() || !isOptional(a.GetType(e.AsSelect().Operand().ID())) {
			return
		}
		if id == 0 {
			id = ast.MaxID(a)
		}
		sel := e.AsSelect()
		name := factory.NewLiteral(id, types.String(sel.FieldName()))
		part := factory.NewCall(id+1, optSelect, sel.Operand(), name)
		a.SetType(id, types.StringType)
		a.SetType(id+1, types.NewOptionalType(types.DynType))
		a.SetReference(id+1, ast.NewFunctionReference("select_optional_field"))
		a.SetReference(e.ID(), ast.NewFunctionReference("optional_hasValue"))
		e.SetKindCase(factory.NewMemberCall(e.ID(), "hasValue", part))
		id += 2
	}))
}

// sortRanges wraps the ranges of a checked expression's comprehensions in @sorted.
func sortRanges(a *ast.AST) {
	factory := ast.NewExprFactory()
	var id int64
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
		if id == 0 {
			id = ast.MaxID(a)
		}
		call := factory.NewCall(id, sortedName, over)
		a.SetType(id, t)
		a.SetReference(id, ast.NewFunctionReference(sortedOverload))
		id++
		e.SetKindCase(factory.NewComprehensionTwoVar(e.ID(), call, c.IterVar(), c.IterVar2(),
			c.AccuVar(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()))
	}))
}
