package expr

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/schema"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// mismatch reports a call without an overload for its argument types.
func (c *check) mismatch(e ast.Expr, at diag.Range) {
	const code = "type-mismatch"
	call := e.AsCall()
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	name := strings.TrimPrefix(call.FunctionName(), "@")
	if name == "random" && len(args) > 0 {
		args = args[1:]
	}
	ts := make([]*types.Type, len(args))
	names := make([]string, len(args))
	hint := ""
	for i, a := range args {
		ts[i] = c.tree.GetType(a.ID())
		names[i] = typeName(ts[i])
		if isOptional(ts[i]) && hint == "" && name != "orValue" && name != "or" {
			of, _ := c.scope.schemaType(ts[i])
			hint = fmt.Sprintf("give a fallback value: %s.orValue(%s)", c.sourceOf(a), zero(of))
		}
	}
	switch name {
	case operators.Conditional:
		if ts[0].Kind() != types.BoolKind && ts[0].Kind() != types.DynKind {
			c.errorf(code, c.span(args[0]), hint, "a condition must be bool, but this is %s", names[0])
			return
		}
		c.errorf(code, at, hint, "both sides of : must have the same type, but these are %s and %s", names[1], names[2])
	case operators.Index, operators.OptIndex:
		switch {
		case ts[0].TypeName() == stepsTypeName: // reported by the presence checker
		case ts[0].Kind() == types.StructKind:
			hint = "name the field: " + c.sourceOf(args[0]) + ".<field>"
			if key, ok := textOf(args[1]); ok {
				hint = "write " + c.sourceOf(args[0]) + "." + key
			}
			c.errorf(code, at, hint, "[ ] works on lists and maps, but %s is an object", c.sourceOf(args[0]))
		default:
			c.errorf(code, at, hint, "[ ] on %s does not take %s", names[0], names[1])
		}
	case operators.Equals, operators.NotEquals:
		c.errorf(code, at, cmp.Or(hint, c.convertHint(name, ts, names, args), c.nullHint(ts)), "%s cannot be compared with %s", names[0], names[1])
	default:
		display, isOperator := operators.FindReverse(call.FunctionName())
		switch {
		case !isOperator:
			display, hint = name, cmp.Or(hint, "usage: "+signatures(name))
		case name == operators.LogicalNot && len(args) == 1:
			hint = cmp.Or(hint, c.comparisonHint(args[0], "=="))
		default:
			hint = cmp.Or(hint, c.convertHint(name, ts, names, args))
		}
		c.errorf(code, at, hint, "%s does not take %s", display, strings.Join(names, " and "))
	}
}

// nullHint returns a hint at what to write in place of a comparison with null.
func (c *check) nullHint(ts []*types.Type) string {
	for i := range ts {
		if ts[i].Kind() == types.NullTypeKind {
			of, _ := c.scope.schemaType(ts[1-i])
			return fmt.Sprintf("it is never null: compare it with a value such as %s, or test with has(…) whether it is present", zero(of))
		}
	}
	return ""
}

// comparisonHint returns a hint at how to turn a value into a condition.
func (c *check) comparisonHint(e ast.Expr, operator string) string {
	of, _ := c.scope.schemaType(c.tree.GetType(e.ID()))
	if ch, ok := chainOf(e); ok && of.Kind >= schema.String && of.Kind <= schema.Number && of.Kind != schema.Bool {
		return fmt.Sprintf("compare it with a value, such as %s %s %s", ch, operator, zero(of))
	}
	return ""
}

// convertHint returns a hint at how to give two operands the same type.
func (c *check) convertHint(operator string, ts []*types.Type, names []string, args []ast.Expr) string {
	if len(ts) != 2 {
		return ""
	}
	joins := operator == operators.Add && ts[0].Kind() != types.TimestampKind && ts[0].Kind() != types.DurationKind // probably concatenation
	if hint := c.literalHint(ts, args); hint != "" && !joins {
		return hint
	}
	return conversion(ts, names, args)
}

// literalHint returns a hint at how to write a text or number literal as the type of the other
// operand.
func (c *check) literalHint(ts []*types.Type, args []ast.Expr) string {
	for i, a := range args {
		if a.Kind() != ast.LiteralKind {
			continue
		}
		switch v := a.AsLiteral().Value().(type) {
		case string:
			_, err := strconv.ParseFloat(v, 64)
			_, wrong := parseDuration(v)
			switch kind := ts[1-i].Kind(); {
			case err == nil && (kind == types.IntKind || kind == types.DoubleKind):
				return "write " + v + ", without quotes"
			case wrong == nil && (kind == types.TimestampKind || kind == types.DurationKind):
				return fmt.Sprintf("write duration(%q)", v)
			case validTimestamp(v) == nil && kind == types.TimestampKind:
				return fmt.Sprintf("write timestamp(%q)", v)
			}
		case int64, float64:
			if ts[1-i].Kind() == types.StringKind {
				if strings.HasSuffix(c.sourceOf(args[1-i]), "error.code") {
					return fmt.Sprintf("put it in quotes: \"%v\"; the HTTP status is in error.status_code", v)
				}
				return fmt.Sprintf("put it in quotes: \"%v\"", v)
			}
		}
	}
	return ""
}

// conversion returns a hint at the function that converts one operand to the type of the
// other.
func conversion(ts []*types.Type, names []string, args []ast.Expr) string {
	if len(ts) != 2 || ts[0].Kind() == ts[1].Kind() {
		return ""
	}
	convert := func(i int, function string) string {
		if ch, ok := chainOf(args[i]); ok {
			return fmt.Sprintf("write %s(%s)", function, ch)
		}
		return fmt.Sprintf("%s(…) converts %s to %s", function, names[i], function)
	}
	for i := range ts {
		other := ts[1-i].Kind()
		if other == types.StringKind || other == types.DoubleKind && ts[i].Kind() == types.IntKind {
			switch ts[i].Kind() {
			case types.IntKind, types.DoubleKind, types.BoolKind, types.TimestampKind, types.DurationKind, types.BytesKind, types.UintKind:
				return convert(i, names[1-i])
			}
		}
	}
	return ""
}
