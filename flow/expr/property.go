package expr

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"facteur/flow/diag"
	"facteur/flow/schema"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A property that its type does not require can be read after a test. What is proved about
// it is kept in the facts of a step called by its path, such as inputs.order.note, which
// counts as skipped while the property may be absent; see varsPrefix.

// AllowAbsent allows properties that may be absent to be read without a test: an earlier
// version accepted the flow like that, or the values are at hand.
func (s *Scope) AllowAbsent() { s.allowAbsent = true }

// BindItem declares an item of the list that p evaluates to (nil: of any list). Properties
// that a filter in p tests are present.
func (s *Scope) BindItem(name string, t *schema.Type, p *Program) {
	s.Bind(name, t)
	if p != nil && p.whole != nil {
		for _, part := range p.whole.elementParts {
			s.present.set(name+part, true)
		}
	}
}

// ReassignVar says that vars.<name> may have been assigned again, which invalidates what is
// proved about its parts; t is the type of all its values.
func (s *Scope) ReassignVar(name string, t *schema.Type) {
	s.vars.set(name, t)
	s.forget(varsPrefix + name)
}

// forget drops what is proved about the parts of a path, and about lookups by it.
func (s *Scope) forget(path string) {
	for key, there := range s.present.m {
		part, of := strings.CutPrefix(key, path)
		if there && (of && part != "" && (part[0] == '.' || part[0] == '[') || strings.Contains(key, "["+path)) {
			s.present.set(key, false)
		}
	}
}

// joinPresent returns what is proved on every path.
func joinPresent(open []*Scope) map[string]bool {
	joined := map[string]bool{}
	for key := range open[0].present.m {
		if !slices.ContainsFunc(open, func(w *Scope) bool { return !w.present.m[key] }) {
			joined[key] = true
		}
	}
	return joined
}

// mayLack reports whether a value of a type may lack a property.
func (s *Scope) mayLack(t *schema.Type, name string) bool {
	if t == nil || s.allowAbsent {
		return false
	}
	f := t.Field(name)
	if f == nil {
		return t.Kind == schema.Map && t.Fields != nil
	}
	return !f.Required && !f.Always && f.Default == nil
}

// allPresent reports whether every property on a bare path is present.
func (s *Scope) allPresent(names []string) bool {
	for i := 1; i < len(names); i++ {
		if owner := s.ownerPathType(names[:i]); s.mayLack(owner, names[i]) && !s.present.m[strings.Join(names[:i+1], ".")] {
			return false
		}
	}
	return true
}

// accessPath returns the path that an expression reads: the key of its facts, and the text as
// written. ok is false for the result of a call.
func (pc *presenceChecker) accessPath(e ast.Expr) (key, text string, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if l := pc.loopVar(name); l != nil {
			return l.key, name, true
		}
		return strings.TrimPrefix(name, "."), name, true
	case ast.SelectKind, ast.CallKind:
		if name, _, ok := fieldOf(e); ok {
			key, text, ok = pc.accessPath(operandOf(e))
			return key + "." + name, text + "." + name, ok
		}
		c := e.AsCall()
		if c.FunctionName() != operators.Index || len(c.Args()) != 2 {
			return "", "", false
		}
		index, indexText, ok := pc.accessPath(c.Args()[1])
		if key, text, isPath := pc.accessPath(c.Args()[0]); isPath && ok {
			return key + "[" + index + "]", text + "[" + indexText + "]", true
		}
	case ast.LiteralKind:
		switch v := e.AsLiteral().(type) {
		case types.Int:
			text = strconv.FormatInt(int64(v), 10)
		case types.String:
			text = strconv.Quote(string(v))
		default:
			return "", "", false
		}
		return text, text, true
	}
	return "", "", false
}

// fieldOf returns the field that an expression selects, as written.
func fieldOf(e ast.Expr) (name string, optional, ok bool) {
	l, ok := linkOf(e)
	if strings.ContainsFunc(l.name, func(r rune) bool { return r >= utf8.RuneSelf || !isNameByte(byte(r)) }) {
		l.name = "`" + l.name + "`"
	}
	return l.name, l.optional, ok
}

// fieldFacts returns what is proved if a field selection has a value.
func (pc *presenceChecker) fieldFacts(e ast.Expr) (yes Facts) {
	for {
		name, _, ok := fieldOf(e)
		if !ok {
			return yes
		}
		of := operandOf(e)
		if key, _, ok := pc.accessPath(e); ok && pc.mayLack(of, name) {
			yes = yes.and(factsAbout(key, Skipped))
		}
		e = of
	}
}

// mayLack reports whether the value of an expression may lack a field.
func (pc *presenceChecker) mayLack(e ast.Expr, name string) bool {
	return pc.scope.mayLack(pc.ownerType(e), strings.Trim(name, "`"))
}

// ownerType returns the type that says which fields the value of an expression may lack, nil
// if there is none.
func (pc *presenceChecker) ownerType(e ast.Expr) *schema.Type {
	t := pc.tree.GetType(e.ID())
	if t != nil && isOptional(t) {
		t = t.Parameters()[0]
	}
	switch {
	case t == nil:
	case t.Kind() == types.StructKind:
		return pc.scope.objects.find(t.TypeName())
	case t.Kind() == types.MapKind: // which in CEL has no names
		if ch, ok := chainOf(e); ok && pc.loopVar(ch.root) == nil {
			return pc.scope.ownerPathType(ch.names())
		}
	}
	return nil
}

// walkProperties checks that each selected field is present in its operand. It visits the
// operand of the first one, unless that is a name.
func (pc *presenceChecker) walkProperties(e ast.Expr, in Facts) {
	var fields []ast.Expr
	base := e
	for {
		if _, _, ok := fieldOf(base); !ok {
			break
		}
		fields = append(fields, base)
		base = operandOf(base)
	}
	if base.Kind() != ast.IdentKind {
		pc.walk(base, in)
	}
	for i, f := range slices.Backward(fields) {
		name, optional, _ := fieldOf(f)
		if optional || isTest(f) {
			return // all after it is optional
		}
		if in.unreachable || !pc.mayLack(operandOf(f), name) {
			continue
		}
		key, text, ok := pc.accessPath(f)
		if ok && (in.steps[key].excluded&Skipped != 0 || pc.scope.present.m[key]) {
			continue
		}
		pc.reportProperty(fields[:i+1], key, text)
		return
	}
}

// reportProperty reports a property that may be absent: the last of the fields. The first is
// the whole expression.
func (pc *presenceChecker) reportProperty(fields []ast.Expr, key, text string) {
	f := fields[len(fields)-1]
	name, _, _ := fieldOf(f)
	_, before, named := pc.accessPath(operandOf(f))
	optional := before + ".?" + name
	for _, later := range slices.Backward(fields[:len(fields)-1]) {
		name, _, _ := fieldOf(later)
		optional += "." + name
	}
	of, _ := pc.scope.schemaType(pc.tree.GetType(fields[0].ID()))
	why, byDefault, severity := "what it was set from may have no value", "", diag.Error
	switch owner := pc.ownerType(operandOf(f)); {
	case owner != nil && owner.Field(strings.Trim(name, "`")) == nil:
		pc.errorf("unknown-field", pc.positions.node(f), diag.DidYouMean(name, before, owner.Names()), "%s has no field %q", before, name)
		return
	case strings.HasPrefix(key, "steps.") && strings.Count(before, ".") == 2:
		why = "the step may succeed without it"
		if id, _, _ := strings.Cut(key[len("steps."):], "."); pc.scope.steps.m[id].External {
			severity = diag.Warning
		}
	case owner != nil && owner.NullIsAbsent: // declared by the flow
		why, byDefault = "its type does not require it", "give the property a default"
	}
	instead := ""
	switch {
	case isTest(fields[0]):
		instead = "write `" + optional + ".hasValue()`"
	case of.Kind != schema.Object: // objects have no literal
		instead = "write `" + optional + ".orValue(" + zero(of) + ")`"
	}
	has := ""
	if named {
		has = "test it with has(" + text + ")"
	} else {
		key, text = "."+name, "this value's "+name
	}
	pc.reportMaybeUnset(diag.Diagnostic{Severity: severity, Range: pc.span(f), Subject: key, Hint: eitherOf(has, instead, byDefault),
		Message: text + " may be absent: " + why})
}
