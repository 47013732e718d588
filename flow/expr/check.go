package expr

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow/diag"

	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"
)

// A check reports the errors of one parsed expression in terms of the flow language.
type check struct {
	scope     *Scope
	positions positions
	tree      *ast.AST
	list      *diag.List
	nodes     map[int64]ast.Expr
}

func (c *check) errorf(code string, at diag.Range, hint, format string, args ...any) {
	d := diag.Diagnostic{Code: code, Range: at, Message: fmt.Sprintf(format, args...), Hint: hint}
	switch code {
	case "unknown-field", "unknown-name", "unknown-function", "out-of-scope":
		d.Subject = d.Message
	}
	c.add(d)
}

func (c *check) add(d diag.Diagnostic) {
	if !slices.Contains(*c.list, d) { // macros duplicate their arguments
		*c.list = append(*c.list, d)
	}
}

// node returns the node with an id, or nil.
func (c *check) node(id int64) ast.Expr {
	if c.nodes == nil {
		c.nodes = map[int64]ast.Expr{}
		ast.PostOrderVisit(c.tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) { c.nodes[e.ID()] = e }))
	}
	return c.nodes[id]
}

// report adds an error of CEL's checker as a diagnostic.
func (c *check) report(problem *common.Error) {
	e := c.node(problem.ExprID)
	message := problem.Message
	at := c.positions.whole()
	if e != nil {
		at = c.positions.node(e)
	}
	quoted := func() string {
		_, rest, _ := strings.Cut(message, "'")
		name, _, _ := strings.Cut(rest, "'")
		return name
	}
	switch {
	case strings.HasPrefix(message, "undeclared reference"):
		if e != nil && e.Kind() == ast.CallKind {
			c.unknownFunction(quoted(), at)
			return
		}
		c.unknownName(quoted(), at)
	case strings.HasPrefix(message, "undefined field"):
		c.unknownField(e, quoted(), at)
	case strings.HasPrefix(message, "found no matching overload") && e != nil && e.Kind() == ast.CallKind:
		c.mismatch(e, at)
	case strings.HasPrefix(message, "expected type 'bool'") && e != nil:
		c.errorf("type-mismatch", c.span(e), c.comparisonHint(e, "!="), "a condition must be bool, but this is %s", typeName(c.tree.GetType(e.ID())))
	case strings.Contains(message, "does not support field selection") && e != nil:
		operand := operandOf(e)
		t := c.tree.GetType(operand.ID())
		c.errorf("unknown-field", at, c.sizeHint(e, operand), "%s has no fields: it is %s", c.sourceOf(operand), typeName(t))
	case strings.Contains(message, "cannot be range of a comprehension") && e != nil:
		hint := ""
		if t := c.tree.GetType(e.ID()); isOptional(t) {
			hint = "give a fallback, such as .orValue([])"
		} else if names, _ := (provider{c.scope}).FindStructFieldNames(t.TypeName()); slices.Contains(names, "items") {
			hint = "write " + c.sourceOf(e) + ".items"
		}
		c.errorf("type-mismatch", c.span(e), hint, "only a list or a map can be iterated over, but this is %s", typeName(c.tree.GetType(e.ID())))
	default:
		c.errorf("type-mismatch", at, "", "%s", strings.ToLower(message[:1])+message[1:])
	}
}

// operandOf returns the operand of a field selection.
func operandOf(e ast.Expr) ast.Expr {
	switch {
	case e.Kind() == ast.SelectKind:
		return e.AsSelect().Operand()
	case e.Kind() == ast.CallKind && len(e.AsCall().Args()) > 0:
		return e.AsCall().Args()[0]
	}
	return e
}

// sourceOf returns an operand as written if it is a chain, else "this value".
func (c *check) sourceOf(e ast.Expr) string {
	if ch, ok := chainOf(e); ok {
		return ch.String()
	}
	return "this value"
}

// span returns the range from the first to the last token of an expression.
func (c *check) span(e ast.Expr) diag.Range {
	first, last := -1, -1
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		i, j := c.positions.token(e)
		if i < 0 {
			return
		}
		if first < 0 || i < first {
			first = i
		}
		last = max(last, j, i+1)
	}))
	if first < 0 {
		return c.positions.whole()
	}
	return c.positions.text.Range(first, last)
}

func (c *check) unknownName(name string, at diag.Range) {
	switch name {
	case "error":
		c.errorf("unknown-name", at, "error exists only in catch and on_failure; elsewhere read steps.<id>.error", "there is no error here")
	case "event":
		c.errorf("unknown-name", at, "event exists only in triggers and in the when of wait_for; afterwards read the step's outputs", "there is no event here")
	default:
		known := c.scope.variables()
		hint := diag.DidYouMean(name, "names here", known)
		if _, ok := c.scope.steps.m[name]; ok {
			hint = fmt.Sprintf("steps are read as steps.%s", name)
		} else if _, ok := c.scope.vars.m[name]; ok {
			hint = fmt.Sprintf("variables are read as vars.%s", name)
		} else if slices.Contains([]string{"env", "secrets", "secret", "vault", "connections"}, name) {
			hint = "expressions cannot read the environment or secrets: put plain values under settings: in the project file, and name credentials with connection: on the step"
		} else if owner := c.scope.ownerOf(name); owner != "" {
			hint = fmt.Sprintf("write %s.%s", owner, name)
		} else if slices.Contains(shared().functions, name) {
			hint = "it is a function: " + signatures(name)
		}
		c.errorf("unknown-name", at, hint, "there is nothing called %q", name)
	}
}

func (c *check) unknownField(e ast.Expr, name string, at diag.Range) {
	if e == nil {
		c.errorf("unknown-field", at, "", "there is no field %q", name)
		return
	}
	operand := operandOf(e)
	t := c.tree.GetType(operand.ID())
	if isOptional(t) {
		t = t.Parameters()[0]
	}
	if t.TypeName() == stepsTypeName {
		ids := c.scope.visibleSteps()
		hint := diag.DidYouMean(name, "steps that can be read here", ids)
		if len(ids) == 0 {
			hint = "only steps above this one can be read, by their ids"
		}
		c.errorf("unknown-field", at, hint, "there is no step %q", name)
		return
	}
	names, _ := provider{c.scope}.FindStructFieldNames(t.TypeName())
	what := c.sourceOf(operand)
	hint := diag.DidYouMean(name, what, names)
	if strings.HasPrefix(t.TypeName(), stepPrefix) {
		if st := c.scope.steps.m[t.TypeName()[len(stepPrefix):]]; st.Outputs.Field(name) != nil {
			hint = fmt.Sprintf("its outputs are read as %s.outputs.%s", what, name)
		}
	}
	switch {
	case name == "sender" && slices.Contains(names, "from"): // else sender_phone_id is suggested, which is the receiver
		hint = fmt.Sprintf("the sender is %s.from", what)
	case hint == "" && t.TypeName() == varsTypeName:
		hint = "variables are created with set"
	case hint == "" && c.scope.vars.m[name] != nil:
		hint = "variables are read as vars." + name
	}
	c.errorf("unknown-field", at, hint, "%s has no field %q", what, name)
}

// sizeHint returns a hint at size(…) for a field that counts elements in other languages.
func (c *check) sizeHint(e, of ast.Expr) string {
	if e.Kind() != ast.SelectKind || !slices.Contains([]string{"length", "len", "size", "count"}, e.AsSelect().FieldName()) {
		return ""
	}
	return "write size(" + c.sourceOf(of) + ")"
}

func (c *check) unknownFunction(name string, at diag.Range) {
	known := shared().functions
	if slices.Contains(known, name) {
		c.errorf("unknown-function", at, "usage: "+signatures(name), "%s cannot be called like this", name)
		return
	}
	near, hint := diag.Suggest(name, known), ""
	if i := slices.IndexFunc(known, func(other string) bool { return strings.HasPrefix(other, name) }); near == "" && i >= 0 && len(name) > 2 {
		near = known[i]
	}
	if near != "" {
		hint = fmt.Sprintf("did you mean %s? usage: %s", near, signatures(near))
	}
	if name == "len" || name == "length" || name == "count" || hint == "" {
		hint = functionHint(name)
	}
	c.errorf("unknown-function", at, hint, "there is no function %q", name)
}

// functionHint names the equivalent of a function of other languages.
func functionHint(name string) string {
	switch strings.ToLower(name) {
	case "len", "length", "count":
		return "size(x) counts the characters of a string or the elements of a list or map"
	case "upper", "toupper", "touppercase", "uppercase":
		return "x.upperAscii() converts a string to upper case"
	case "lower", "tolower", "tolowercase", "lowercase":
		return "x.lowerAscii() converts a string to lower case"
	case "str", "tostring", "text":
		return "string(x) converts a value to a string"
	case "parseint", "toint", "number":
		return "int(x) and double(x) convert a string to a number"
	case "includes", "has_key", "haskey", "in_list":
		return "x in list tests whether a list or map contains x, text.contains(x) whether a string does"
	case "concat", "append":
		return "a + b joins two strings or two lists"
	case "default", "coalesce", "ifnull", "nvl", "orelse", "ordefault":
		return "x.?field.orValue(y) gives y if the field is absent"
	case "date", "today", "currenttime", "utcnow":
		return "now() is the current time"
	case "json_encode", "tojson", "stringify", "to_json":
		return "json(x) writes a value as JSON"
	case "if", "iif", "cond":
		return "condition ? a : b chooses one of two values"
	}
	return ""
}

// signatures lists the overloads of a function, at most four.
func signatures(name string) string {
	switch name {
	case "now", "uuid":
		return name + "()"
	case "random":
		return "random(int, int)"
	}
	fn := shared().cel.Functions()["@"+name]
	if fn == nil {
		fn = shared().cel.Functions()[name]
	}
	var all []string
	if fn != nil {
		all = overloads(name, fn)
	}
	if len(all) == 0 {
		return name + "(…)"
	}
	if len(all) > 4 {
		all = append(all[:4], "…")
	}
	return strings.Join(all, ", ")
}

func overloads(name string, fn *decls.FunctionDecl) []string {
	var all []string
	for _, o := range fn.OverloadDecls() {
		args := make([]string, len(o.ArgTypes()))
		for i, t := range o.ArgTypes() {
			args[i], _, _ = strings.Cut(typeName(t), " of ")
		}
		member := o.IsMemberFunction() || name == "replace" || name == "join"
		if member && len(args) > 0 {
			all = append(all, fmt.Sprintf("%s.%s(%s)", args[0], name, strings.Join(args[1:], ", ")))
		} else {
			all = append(all, fmt.Sprintf("%s(%s)", name, strings.Join(args, ", ")))
		}
	}
	return slices.Compact(all)
}

func textOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// result reports a result type that is not a value of the flow language.
func (c *check) result(t *types.Type) {
	if isOptional(t) {
		t = t.Parameters()[0]
	}
	switch t.Kind() {
	case types.BytesKind:
		c.errorf("not-a-value", c.positions.whole(), "write base64.encode(…), or string(…) for text in UTF-8", "a flow cannot hold bytes")
	case types.TypeKind:
		c.errorf("not-a-value", c.positions.whole(), "", "a flow cannot hold a type")
	case types.MapKind:
		if k := t.Parameters()[0].Kind(); k != types.StringKind && k != types.DynKind && k != types.TypeParamKind {
			c.errorf("not-a-value", c.positions.whole(), "write string(…) around the keys", "the keys of a map must be strings, but these are %s", typeName(t.Parameters()[0]))
		}
	}
}
