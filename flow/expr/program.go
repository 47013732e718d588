package expr

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"facteur/flow/diag"
	"facteur/flow/schema"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// A Program is a compiled expression, or a text with expressions in it. Programs are immutable
// and safe for concurrent use.
type Program struct {
	text      string        // of a literal
	whole     *expression   // set if the program is exactly one expression
	parts     []programPart // of a text with expressions
	condition bool          // whole must evaluate to a bool
}

type programPart struct {
	text string
	expr *expression
}

// An expression is one compiled CEL expression: a bare path, or a checked AST whose program is
// planned when it is first evaluated.
type expression struct {
	at           diag.Range
	typ          *schema.Type
	optional     bool
	null         bool     // always null
	elementParts []string // of a list: the parts that every element has, such as .note

	path []string

	checked *ast.AST
	source  diag.Text
	plan    func() (cel.Program, error)
}

func newExpression(source diag.Text, at diag.Range, checked *ast.AST) *expression {
	e := &expression{at: at, checked: checked, source: source}
	e.plan = sync.OnceValues(func() (cel.Program, error) {
		return shared().cel.PlanProgram(checked, shared().program...)
	})
	return e
}

// expressions iterates over the expressions of the program.
func (p *Program) expressions(yield func(*expression) bool) {
	if p.whole != nil {
		yield(p.whole)
		return
	}
	for _, part := range p.parts {
		if part.expr != nil && !yield(part.expr) {
			return
		}
	}
}

// Literal returns the text of a program without expressions; ok is false for any other.
func (p *Program) Literal() (text string, ok bool) {
	return p.text, p.whole == nil && p.parts == nil
}

// Prefix returns the literal text that every result of a text begins with.
func (p *Program) Prefix() string {
	if p.parts != nil {
		return p.parts[0].text
	}
	return p.text
}

// FixedParts returns the literal parts before, between and after the expressions of a text;
// nil for a program that is one expression.
func (p *Program) FixedParts() []string {
	if p.parts == nil {
		return nil
	}
	fixed := []string{""}
	for _, part := range p.parts {
		if part.expr != nil {
			fixed = append(fixed, "")
		} else {
			fixed[len(fixed)-1] += part.text
		}
	}
	return fixed
}

// Alternatives returns the string literals among the results of a conditional (? :), nil if
// the program is not one.
func (p *Program) Alternatives() []string {
	if p.whole == nil || p.whole.checked == nil {
		return nil
	}
	return alternatives(p.whole.checked.Expr(), nil)
}

func alternatives(e ast.Expr, found []string) []string {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Conditional {
		return found
	}
	for _, branch := range e.AsCall().Args()[1:] {
		if text, ok := textOf(branch); ok {
			found = append(found, text)
		}
		found = alternatives(branch, found)
	}
	return found
}

// Type returns the type of the program's result.
func (p *Program) Type() *schema.Type {
	if p.whole != nil {
		return p.whole.typ
	}
	return schema.StringType
}

// Optional reports whether the program may give no value (CEL's optional none).
func (p *Program) Optional() bool { return p.whole != nil && p.whole.optional }

// Absent is the result of Eval for an optional without a value.
type Absent struct{}

// Eval evaluates the program. The result is a plain value (see schema.Coerce) or Absent; parts
// of it may be shared with v and must not be changed. The error is an *EvalError.
func (p *Program) Eval(v Vars) (any, error) {
	switch {
	case p.whole != nil:
		result, err := p.whole.eval(v)
		if _, ok := result.(bool); err == nil && p.condition && !ok {
			return nil, &EvalError{Range: p.whole.at, Expression: strings.TrimSpace(p.whole.source.Value), Message: "the condition must give a bool, but gave " + kindOf(result)}
		}
		return result, err
	case p.parts == nil:
		return p.text, nil
	}
	var room [8]string
	texts, size := room[:0], 0
	for _, part := range p.parts {
		s := part.text
		if part.expr != nil {
			result, err := part.expr.eval(v)
			if err != nil {
				return nil, err
			}
			var bad error
			if s, bad = text(result); bad != nil {
				return nil, &EvalError{Range: part.expr.at, Expression: strings.TrimSpace(part.expr.source.Value), Message: bad.Error()}
			}
		}
		if size += len(s); size > maxSize {
			return nil, &EvalError{Range: p.parts[0].at(), Message: errTooLarge.Error()}
		}
		texts = append(texts, s)
	}
	return strings.Join(texts, ""), nil
}

func (part programPart) at() diag.Range {
	if part.expr != nil {
		return part.expr.at
	}
	return diag.Range{}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case Absent:
		return "no value"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return fmt.Sprintf("%v", v)
}

func (e *expression) eval(v Vars) (result any, err error) {
	if e.path != nil {
		result, err = e.evalPath(&v)
	} else {
		result, err = e.evalCEL(v)
	}
	if err == nil {
		return result, nil
	}
	if failure, ok := errors.AsType[*EvalError](err); ok {
		failure.Expression = strings.TrimSpace(e.source.Value)
	}
	return result, err
}

func (e *expression) evalCEL(v Vars) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, &EvalError{Range: e.at, Message: fmt.Sprintf("the expression could not be evaluated: %v", r)}
		}
	}()
	program, err := e.plan()
	if err != nil {
		return nil, &EvalError{Range: e.at, Message: "the expression could not be planned: " + err.Error()}
	}
	out, _, err := program.Eval((*activation)(&v))
	if err != nil {
		return nil, e.evalError(err)
	}
	if o, ok := out.(*types.Optional); ok && !o.HasValue() {
		return Absent{}, nil
	}
	result, err = plain(out)
	if err != nil {
		return nil, &EvalError{Range: e.at, Message: err.Error()}
	}
	return result, nil
}

func (e *expression) evalPath(v *Vars) (any, error) {
	value, missing := lookUp(v, e.path)
	if missing >= 0 {
		if _, ok := value.([]any); ok {
			return nil, &EvalError{Range: e.at, Message: listMessage}
		}
		return nil, &EvalError{Range: e.at, Message: missingMessage(e.path[missing])}
	}
	result, err := plain(value)
	if err != nil {
		return nil, &EvalError{Range: e.at, Message: err.Error()}
	}
	return result, nil
}

// An EvalError says which expression could not be evaluated, and why.
type EvalError struct {
	Range      diag.Range
	Expression string // as written, without ${ }
	Message    string // lower case, for people
}

func (e *EvalError) Error() string { return e.Message }

const listMessage = "a list has no fields; take an element of it, such as [0]"

func missingMessage(name string) string { return "no such key: " + name }

// evalError translates an error of CEL, with the position inside the expression where that is
// known.
func (e *expression) evalError(err error) *EvalError {
	out := &EvalError{Range: e.at}
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		out.Message = fmt.Sprintf("the expression is over its cost limit of %d", maxCost)
		return out
	}
	var failure *types.Err
	if errors.As(err, &failure) && ref.Val(failure) != types.NoSuchOverloadErr() {
		out.Range = e.rangeOf(failure.NodeID())
	}
	switch message := err.Error(); {
	case strings.HasPrefix(message, "no such attribute(s): "):
		out.Message = missingMessage(strings.TrimPrefix(message, "no such attribute(s): "))
	case strings.HasPrefix(message, "unsupported index type 'string' in list"):
		out.Message = listMessage
	case strings.Contains(message, "optional.none() dereference"):
		out.Message = "value() was called on an optional that has no value; use orValue(…)"
	case strings.HasPrefix(message, "no such overload"):
		out.Message = "a value has a type that the expression does not accept"
	case strings.HasPrefix(message, "internal error: "):
		out.Message = "the expression could not be evaluated: " + strings.TrimPrefix(message, "internal error: ")
	default:
		out.Message = message
	}
	return out
}

// rangeOf returns the range of a node, or that of the whole expression.
func (e *expression) rangeOf(id int64) diag.Range {
	at := e.at
	pos := newPositions(e.source, e.checked)
	ast.PostOrderVisit(e.checked.Expr(), ast.NewExprVisitor(func(n ast.Expr) {
		if i, _ := pos.token(n); n.ID() == id && i >= 0 {
			at = pos.node(n)
		}
	}))
	return at
}
