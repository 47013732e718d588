package expr

import (
	"slices"
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
	"facteur/flow/schema"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

const optSelect = operators.OptSelect

// Compile compiles a text: without ${ it is a literal; exactly one ${…} keeps the type of its
// expression; otherwise each part is formatted into the text. If it fails, the program is nil
// and should be treated as one of type any.
func Compile(t diag.Text, s *Scope) (*Program, diag.List) {
	parts, list := Scan(t)
	if len(parts) == 1 && parts[0].Expr == nil && len(list) == 0 {
		return &Program{text: parts[0].Text}, nil
	}
	if only := soleExpression(parts); only != nil {
		e, _, _ := compile(*only.Expr, only.Range, s, &list)
		if list.HasErrors() {
			return nil, list
		}
		return &Program{whole: e}, list
	}
	p := &Program{parts: make([]programPart, len(parts))}
	for i, part := range parts {
		p.parts[i].text = part.Text
		if part.Expr == nil {
			continue
		}
		var found diag.List // of this part: duplicates are only dropped within it
		e, _, _ := compile(*part.Expr, part.Range, s, &found)
		if e != nil {
			checkTextForm(e, &found)
		}
		list.Add(found)
		p.parts[i].expr = e
	}
	if list.HasErrors() {
		return nil, list
	}
	return p, list
}

// soleExpression returns the expression of a text that has nothing else but white space, or
// nil.
func soleExpression(parts []Part) *Part {
	var only *Part
	for i := range parts {
		switch {
		case parts[i].Expr == nil && strings.TrimSpace(parts[i].Text) == "":
		case parts[i].Expr == nil || only != nil:
			return nil
		default:
			only = &parts[i]
		}
	}
	return only
}

// checkTextForm reports an expression whose type cannot be formatted into a text.
func checkTextForm(e *expression, list *diag.List) {
	const code = "not-text"
	switch {
	case e.optional:
		list.Errorf(code, e.at, "give a fallback value, such as .orValue("+zero(e.typ)+")", "an optional value cannot be inserted into text")
	case e.null:
		list.Errorf(code, e.at, "remove it, or choose a value with ? :", "null cannot be inserted into text")
	case e.typ.Kind == schema.List:
		list.Errorf(code, e.at, `use .join(", ") or json(…)`, "a list cannot be inserted into text")
	case e.typ.Kind == schema.Map || e.typ.Kind == schema.Object:
		list.Errorf(code, e.at, "use one of its fields, or json(…)", "%s cannot be inserted into text", withArticle(e.typ))
	}
}

func withArticle(t *schema.Type) string {
	if t.Kind == schema.Object {
		return "an object"
	}
	return "a map"
}

// zero returns the CEL literal of a type's zero value.
func zero(t *schema.Type) string {
	switch t.Kind {
	case schema.Bool:
		return "false"
	case schema.Int:
		return "0"
	case schema.Number:
		return "0.0"
	case schema.List:
		return "[]"
	case schema.Map, schema.Object:
		return "{}"
	case schema.Duration:
		return `duration("0s")`
	case schema.Timestamp:
		return "now()"
	}
	return `""`
}

// Condition compiles bare CEL of type bool, and returns what is proved when it is true and
// when it is false. If it fails, the program is nil, and a scope that assumes the facts does
// not ask for tests of the names in it: the condition may be meant as their test.
func Condition(t diag.Text, s *Scope) (p *Program, yes, no Facts, l diag.List) {
	defer func() {
		if p == nil && slices.ContainsFunc(l, func(d diag.Diagnostic) bool { return d.Code != "maybe-unset" }) {
			yes.brokenWords = wordsOf(t.Value)
			no.brokenWords = yes.brokenWords
		}
	}()
	trimmed := strings.TrimSpace(t.Value)
	switch {
	case trimmed == "":
		l.Errorf("empty-expression", t.Whole, `write a condition such as inputs.name != ""`, "the condition is empty")
		return nil, yes, no, l
	case strings.HasPrefix(trimmed, "${"):
		at := strings.Index(t.Value, "${")
		hint := "remove ${ and }"
		if strings.HasSuffix(trimmed, "}") {
			hint = "write " + strings.TrimSpace(trimmed[2:len(trimmed)-1])
		}
		l.Errorf("expression-syntax", t.Range(at, at+2), hint, "a condition is an expression already: it must not have ${ }")
		return nil, yes, no, l
	}
	e, yes, no := compile(t, newPositions(t, nil).whole(), s, &l)
	if e == nil {
		return nil, Facts{}, Facts{}, l
	}
	switch {
	case e.optional:
		l.Errorf("type-mismatch", e.at, "give a fallback value, such as .orValue("+zero(e.typ)+")", "a condition must be bool, but this is optional")
	case e.null || e.typ.Kind != schema.Bool && e.typ.Kind != schema.Any && e.typ.Kind != schema.Union:
		l.Errorf("type-mismatch", e.at, compareHint(e.typ, trimmed), "a condition must be bool, but this is %s", celName(e))
	}
	if l.HasErrors() {
		return nil, Facts{}, Facts{}, l
	}
	return &Program{whole: e, condition: true}, yes, no, l
}

func celName(e *expression) string {
	if e.null {
		return "null"
	}
	return typeName((&objects{}).celType(e.typ))
}

func compareHint(t *schema.Type, source string) string {
	switch t.Kind {
	case schema.String, schema.Int, schema.Number:
		if pathOf(source) != nil {
			return "compare it with a value, such as " + source + " != " + zero(t)
		}
		return "compare it with a value, such as … != " + zero(t)
	case schema.List, schema.Map:
		return "check its size, such as … .size() > 0"
	}
	return "compare it with == or !="
}

// compile compiles one expression; at is its range including ${ and }. It returns nil if there
// are errors, which it adds to the list.
func compile(t diag.Text, at diag.Range, s *Scope, list *diag.List) (e *expression, yes, no Facts) {
	if names := pathOf(strings.TrimSpace(t.Value)); names != nil {
		if typ := s.pathType(names); typ != nil && s.canReadPath(names) {
			return &expression{at: at, source: t, typ: typ, path: names}, yes, no
		}
	}
	parsed, issues := shared().cel.Parse(t.Value)
	if issues.Err() != nil {
		syntaxErrors(newPositions(t, nil), issues.Errors(), list)
		return nil, yes, no
	}
	tree := parsed.NativeRep()
	if strings.Contains(t.Value, "steps") {
		makeTestsOptional(tree)
	}
	env, err := s.checkerEnv()
	if err != nil {
		list.Errorf("expression-syntax", at, "", "the names in scope cannot be declared: %v", err)
		return nil, yes, no
	}
	checked, problems := checker.Check(tree, parsed.Source(), env)
	c := &check{scope: s, positions: newPositions(t, checked), tree: checked, list: list}
	before := len(*list)
	for _, problem := range problems.GetErrors() {
		c.report(problem)
	}
	c.literals()
	g := &presenceChecker{check: c}
	yes, no = g.walk(checked.Expr(), Facts{})
	tested := g.elementParts(checked.Expr())
	typ := checked.GetType(checked.Expr().ID())
	if !(*list)[before:].HasErrors() {
		c.result(typ)
	}
	if (*list)[before:].HasErrors() {
		return nil, Facts{}, Facts{}
	}
	wrapTests(checked)
	sortRanges(checked)
	e = newExpression(t, at, checked)
	e.typ, e.optional = s.schemaType(typ)
	if fields := s.literalFields(checked); fields != nil {
		e.typ = &schema.Type{Kind: schema.Map, Elem: e.typ.Elem, Fields: fields}
	}
	e.null = typ.Kind() == types.NullTypeKind
	e.elementParts = tested
	return e, yes, no
}

// wordsOf returns the names in a text, sorted.
func wordsOf(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf || !isNameByte(byte(r)) })
	slices.Sort(words)
	return slices.Compact(words)
}
