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

// Compile compiles a text: without ${ it is itself; exactly one ${…} keeps its type;
// otherwise each part is formatted into the text. Where it fails, the program is nil
// and should be treated as of type any.
func Compile(t diag.Text, s *Scope) (*Program, diag.List) {
	parts, list := Scan(t)
	if len(parts) == 1 && parts[0].Expr == nil && len(list) == 0 {
		return &Program{text: parts[0].Text}, nil
	}
	if only := single(parts); only != nil {
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
		var found diag.List // of this one: repeats are looked for among them
		e, _, _ := compile(*part.Expr, part.Range, s, &found)
		if e != nil {
			standsInText(e, &found)
		}
		list.Add(found)
		p.parts[i].expr = e
	}
	if list.HasErrors() {
		return nil, list
	}
	return p, list
}

// single returns the one expression of a text that is nothing but it and white space.
func single(parts []Part) *Part {
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

// standsInText reports an expression whose type has no form in a text.
func standsInText(e *expression, list *diag.List) {
	const code = "not-text"
	switch {
	case e.optional:
		list.Errorf(code, e.at, "say what stands there without it, such as .orValue("+zero(e.typ)+")", "an optional value cannot stand in a text")
	case e.null:
		list.Errorf(code, e.at, "leave it out, or choose a value with ? :", "null cannot stand in a text")
	case e.typ.Kind == schema.List:
		list.Errorf(code, e.at, `use .join(", ") or json(…)`, "a list cannot stand in a text")
	case e.typ.Kind == schema.Map || e.typ.Kind == schema.Object:
		list.Errorf(code, e.at, "use one of its fields, or json(…)", "%s cannot stand in a text", article(e.typ))
	}
}

func article(t *schema.Type) string {
	if t.Kind == schema.Object {
		return "an object"
	}
	return "a map"
}

// zero gives the CEL literal of a type's empty value.
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

// Condition compiles bare CEL of type bool, and tells what holds when it is true
// and when it is false. Where it fails, the program is nil, and a scope that assumes its facts
// asks for no tests of what it names: they are what is broken.
func Condition(t diag.Text, s *Scope) (p *Program, yes, no Facts, l diag.List) {
	defer func() {
		if p == nil && slices.ContainsFunc(l, func(d diag.Diagnostic) bool { return d.Code != "maybe-unset" }) {
			yes.lost = wordsOf(t.Value)
			no.lost = yes.lost
		}
	}()
	trimmed := strings.TrimSpace(t.Value)
	switch {
	case trimmed == "":
		l.Errorf("empty-expression", t.Whole, `write a condition such as inputs.name != ""`, "the condition is empty")
		return nil, yes, no, l
	case strings.HasPrefix(trimmed, "${"):
		at := strings.Index(t.Value, "${")
		hint := "leave out ${ and }"
		if strings.HasSuffix(trimmed, "}") {
			hint = "write " + strings.TrimSpace(trimmed[2:len(trimmed)-1])
		}
		l.Errorf("expression-syntax", t.Range(at, at+2), hint, "a condition is an expression already: it takes no ${ }")
		return nil, yes, no, l
	}
	e, yes, no := compile(t, newPlaces(t, nil).whole(), s, &l)
	if e == nil {
		return nil, Facts{}, Facts{}, l
	}
	switch {
	case e.optional:
		l.Errorf("type-mismatch", e.at, "say what holds without it, such as .orValue("+zero(e.typ)+")", "a condition must be bool, this is optional")
	case e.null || e.typ.Kind != schema.Bool && e.typ.Kind != schema.Any && e.typ.Kind != schema.Union:
		l.Errorf("type-mismatch", e.at, compareHint(e.typ, trimmed), "a condition must be bool, this is %s", celName(e))
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
			return "compare it, such as " + source + " != " + zero(t)
		}
		return "compare it, such as … != " + zero(t)
	case schema.List, schema.Map:
		return "ask for its size, such as … .size() > 0"
	}
	return "compare it with == or !="
}

// compile compiles one expression, which stands at the given place with its ${ and }.
// It returns nil when there are errors, which it adds to the list.
func compile(t diag.Text, at diag.Range, s *Scope, list *diag.List) (e *expression, yes, no Facts) {
	if names := pathOf(strings.TrimSpace(t.Value)); names != nil {
		if typ := s.follow(names); typ != nil && s.proved(names) {
			return &expression{at: at, source: t, typ: typ, path: names}, yes, no
		}
	}
	parsed, issues := shared().cel.Parse(t.Value)
	if issues.Err() != nil {
		syntaxErrors(newPlaces(t, nil), issues.Errors(), list)
		return nil, yes, no
	}
	tree := parsed.NativeRep()
	if strings.Contains(t.Value, "steps") {
		testFromTheStart(tree)
	}
	env, err := s.checkerEnv()
	if err != nil {
		list.Errorf("expression-syntax", at, "", "the names in scope cannot be declared: %v", err)
		return nil, yes, no
	}
	checked, problems := checker.Check(tree, parsed.Source(), env)
	c := &check{scope: s, places: newPlaces(t, checked), tree: checked, list: list}
	before := len(*list)
	for _, problem := range problems.GetErrors() {
		c.report(problem)
	}
	c.literals()
	g := &guard{check: c}
	yes, no = g.walk(checked.Expr(), Facts{})
	tested := g.tested(checked.Expr())
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
	if fields := s.written(checked); fields != nil {
		e.typ = &schema.Type{Kind: schema.Map, Elem: e.typ.Elem, Fields: fields}
	}
	e.null = typ.Kind() == types.NullTypeKind
	e.tested = tested
	return e, yes, no
}

// wordsOf returns the names that stand in a text, sorted.
func wordsOf(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf || !isNameByte(byte(r)) })
	slices.Sort(words)
	return slices.Compact(words)
}
