package expr

import (
	"slices"
	"strconv"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/schema"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A property that its type does not require is read where it was tested before. That
// it is there is kept among the facts as of a step called by its place, such as
// inputs.order.note, that was not skipped; see varsPrefix.

// Trust lets properties be read that may be absent: an earlier version took the flow so, or
// the value is there to be looked at.
func (s *Scope) Trust() { s.trust = true }

// BindItem declares an item of the list that p gives, nil for any list: what a filter has
// tested is there.
func (s *Scope) BindItem(name string, t *schema.Type, p *Program) {
	s.Bind(name, t)
	if p != nil && p.whole != nil {
		for _, part := range p.whole.tested {
			s.there.set(name+part, true)
		}
	}
}

// Renew says that vars.<name> may have been set anew; t is the type of all its values.
func (s *Scope) Renew(name string, t *schema.Type) {
	s.vars.set(name, t)
	s.forget(varsPrefix + name)
}

// forget drops what is proved about the parts of what stands at a place, and of what is looked
// up by it.
func (s *Scope) forget(place string) {
	for key, there := range s.there.m {
		part, of := strings.CutPrefix(key, place)
		if there && (of && part != "" && (part[0] == '.' || part[0] == '[') || strings.Contains(key, "["+place)) {
			s.there.set(key, false)
		}
	}
}

// joinThere returns what is proved in every one of the ways.
func joinThere(ways []*Scope) table[bool] {
	joined := map[string]bool{}
	for key := range ways[0].there.m {
		if !slices.ContainsFunc(ways, func(w *Scope) bool { return !w.there.m[key] }) {
			joined[key] = true
		}
	}
	return table[bool]{m: joined}
}

// mayLack tells whether a value of a type may be without a property.
func (s *Scope) mayLack(t *schema.Type, name string) bool {
	if t == nil || s.trust {
		return false
	}
	f := t.Field(name)
	if f == nil {
		return t.Kind == schema.Map && t.Fields != nil
	}
	return !f.Required && !f.Always && f.Default == nil
}

// complete tells whether every property on a bare path is there.
func (s *Scope) complete(names []string) bool {
	for i := 1; i < len(names); i++ {
		if owner := s.owner(names[:i]); s.mayLack(owner, names[i]) && !s.there.m[strings.Join(names[:i+1], ".")] {
			return false
		}
	}
	return true
}

// place names what an expression reads, for the facts and as an author writes it; ok is
// false for what is made by a call.
func (g *guard) place(e ast.Expr) (key, text string, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if l := g.local(name); l != nil {
			return l.key, name, true
		}
		return strings.TrimPrefix(name, "."), name, true
	case ast.SelectKind, ast.CallKind:
		if name, _, is := fieldOf(e); is {
			key, text, ok = g.place(operandOf(e))
			return key + "." + name, text + "." + name, ok
		}
		c := e.AsCall()
		if c.FunctionName() != operators.Index || len(c.Args()) != 2 {
			return "", "", false
		}
		at, shown, ok := g.place(c.Args()[1])
		if key, text, is := g.place(c.Args()[0]); is && ok {
			return key + "[" + at + "]", text + "[" + shown + "]", true
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

// fieldOf returns the field that an expression selects, as it is written.
func fieldOf(e ast.Expr) (name string, optional, ok bool) {
	switch {
	case e.Kind() == ast.SelectKind:
		name = e.AsSelect().FieldName()
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == optSelect && len(e.AsCall().Args()) == 2:
		if name, ok = textOf(e.AsCall().Args()[1]); !ok {
			return "", false, false
		}
		optional = true
	default:
		return "", false, false
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		name = "`" + name + "`"
	}
	return name, optional, true
}

// there tells what follows when an expression turns out to have a value.
func (g *guard) there(e ast.Expr) (yes Facts) {
	for {
		name, _, ok := fieldOf(e)
		if !ok {
			return yes
		}
		of := operandOf(e)
		if key, _, ok := g.place(e); ok && g.mayLack(of, name) {
			yes = yes.and(about(key, Skipped))
		}
		e = of
	}
}

// mayLack tells whether the value of an expression may be without a field.
func (g *guard) mayLack(e ast.Expr, name string) bool {
	return g.scope.mayLack(g.ownerType(e), strings.Trim(name, "`"))
}

// ownerType returns the type that says which fields the value of an expression may lack, nil
// where none does.
func (g *guard) ownerType(e ast.Expr) *schema.Type {
	t := g.tree.GetType(e.ID())
	if t != nil && isOptional(t) {
		t = t.Parameters()[0]
	}
	switch {
	case t == nil:
	case t.Kind() == types.StructKind:
		return g.scope.objects.find(t.TypeName())
	case t.Kind() == types.MapKind: // which in CEL has no names
		if ch, ok := chainOf(e); ok && g.local(ch.root) == nil {
			return g.scope.owner(ch.names())
		}
	}
	return nil
}

// properties demands that what stands before each field has it. It visits what the first
// one is selected from, unless that is a name.
func (g *guard) properties(e ast.Expr, in Facts) {
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
		g.walk(base, in)
	}
	for i, f := range slices.Backward(fields) {
		name, optional, _ := fieldOf(f)
		if optional || f.Kind() == ast.SelectKind && f.AsSelect().IsTestOnly() {
			return // all after it is optional
		}
		if in.never || !g.mayLack(operandOf(f), name) {
			continue
		}
		key, text, ok := g.place(f)
		if ok && (in.steps[key].not&Skipped != 0 || g.scope.there.m[key]) {
			continue
		}
		g.absent(fields[:i+1], key, text)
		return
	}
}

// absent reports a property that may be absent: the last of the fields, whose first is the
// whole that is read.
func (g *guard) absent(fields []ast.Expr, key, text string) {
	f := fields[len(fields)-1]
	name, _, _ := fieldOf(f)
	_, before, named := g.place(operandOf(f))
	optional := before + ".?" + name
	for _, later := range slices.Backward(fields[:len(fields)-1]) {
		name, _, _ := fieldOf(later)
		optional += "." + name
	}
	of, _ := g.scope.schemaType(g.tree.GetType(fields[0].ID()))
	why, byDefault, severity := "what it is made of may give no value", "", diag.Error
	switch owner := g.ownerType(operandOf(f)); {
	case owner != nil && owner.Field(strings.Trim(name, "`")) == nil:
		g.errorf("unknown-field", g.places.node(f), diag.DidYouMean(name, before, owner.Names()), "%s has no field %q", before, name)
		return
	case strings.HasPrefix(key, "steps.") && strings.Count(before, ".") == 2:
		why = "the step may succeed without it"
		if id, _, _ := strings.Cut(key[len("steps."):], "."); g.scope.steps.m[id].Foreign {
			severity = diag.Warning
		}
	case owner != nil && owner.NullIsNone: // the flow wrote it out
		why, byDefault = "its type does not require it", "give the property a default"
	}
	instead := ""
	switch {
	case fields[0].Kind() == ast.SelectKind && fields[0].AsSelect().IsTestOnly():
		instead = "write `" + optional + ".hasValue()`"
	case of.Kind != schema.Object: // which has no literal
		instead = "write `" + optional + ".orValue(" + zero(of) + ")`"
	}
	has := ""
	if named {
		has = "test it with has(" + text + ")"
	} else {
		key, text = "."+name, "this value's "+name
	}
	g.forgotten(diag.Diagnostic{Severity: severity, Range: g.span(f), Subject: key, Hint: eitherOf(has, instead, byDefault),
		Message: text + " may be absent: " + why})
}
