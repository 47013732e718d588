package expr

import (
	"fmt"
	"slices"

	"facteur/flow/diag"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A guard walks a checked expression from left to right and demands that what is read
// of a step that may not have run, or may have failed, and what may be absent of an
// input, was tested before.
type guard struct {
	*check
	locals []local            // names that comprehensions have taken, the innermost last
	parts  map[int64][]string // what the elements of the lists that comprehensions give have, by their ids
}

// walk visits an expression where the facts in hold. It returns what is proved when
// the expression is true and when it is false.
func (g *guard) walk(e ast.Expr, in Facts) (yes, no Facts) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch e.AsLiteral() {
		case types.True:
			return Facts{}, Facts{never: true}
		case types.False:
			return Facts{never: true}, Facts{}
		}
	case ast.IdentKind, ast.SelectKind:
		return g.fields(e, in)
	case ast.CallKind:
		return g.call(e, in)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			g.walk(item, in)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			g.walk(entry.AsMapEntry().Key(), in)
			g.walk(entry.AsMapEntry().Value(), in)
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			g.walk(f.AsStructField().Value(), in)
		}
	case ast.ComprehensionKind:
		g.comprehension(e, in)
	}
	return Facts{}, Facts{}
}

// fields visits a chain of fields.
func (g *guard) fields(e ast.Expr, in Facts) (yes, no Facts) {
	before := len(*g.list)
	switch ch, ok := chainOf(e); {
	case ok && g.isSteps(ch):
		g.read(ch, in)
		if ch.test {
			yes, no = g.present(ch)
		}
	case ok && g.isVars(ch):
		yes, no = g.variable(ch, in)
	}
	if len(*g.list) == before {
		g.properties(e, in)
	}
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		yes = yes.and(g.there(e))
	}
	return yes, no
}

func (g *guard) call(e ast.Expr, in Facts) (yes, no Facts) {
	c := e.AsCall()
	args := c.Args()
	switch c.FunctionName() {
	case optSelect:
		return g.fields(e, in)
	case operators.LogicalAnd:
		no.never = true
		for _, a := range args {
			y, n := g.walk(a, in.and(yes))
			no = no.or(yes.and(n))
			yes = yes.and(y)
		}
		return yes, no
	case operators.LogicalOr:
		yes.never = true
		for _, a := range args {
			y, n := g.walk(a, in.and(no))
			yes = yes.or(no.and(y))
			no = no.and(n)
		}
		return yes, no
	case operators.LogicalNot:
		yes, no = g.walk(args[0], in)
		return no, yes
	case operators.NotStrictlyFalse:
		return g.walk(args[0], in)
	case operators.Conditional:
		ty, tn := g.walk(args[0], in)
		ay, an := g.walk(args[1], in.and(ty))
		by, bn := g.walk(args[2], in.and(tn))
		return ty.and(ay).or(tn.and(by)), ty.and(an).or(tn.and(bn))
	case operators.Equals:
		return g.equal(args[0], args[1], in)
	case operators.NotEquals:
		yes, no = g.equal(args[0], args[1], in)
		return no, yes
	case operators.In:
		return g.in(args[0], args[1], in)
	case operators.Index, operators.OptIndex:
		if ch, ok := chainOf(args[0]); ok && g.isSteps(ch) && len(ch.links) == 0 {
			g.lookup(e)
			g.walk(args[1], in)
			return Facts{}, Facts{}
		}
	}
	if c.IsMemberFunction() {
		g.walk(c.Target(), in)
	}
	for _, a := range args {
		g.walk(a, in)
	}
	if of, fallback, ok := optional(e); ok {
		switch yes, no = g.presence(of); {
		case fallback == nil: // hasValue()
			return yes, no
		case fallback.Kind() == ast.LiteralKind && fallback.AsLiteral() == types.False:
			return yes, Facts{}
		case fallback.Kind() == ast.LiteralKind && fallback.AsLiteral() == types.True:
			return Facts{}, yes
		}
	}
	return Facts{}, Facts{}
}

// optional recognises x.hasValue() and x.orValue(fallback).
func optional(e ast.Expr) (of, fallback ast.Expr, ok bool) {
	if e.Kind() != ast.CallKind || !e.AsCall().IsMemberFunction() {
		return nil, nil, false
	}
	c := e.AsCall()
	switch {
	case c.FunctionName() == "orValue" && len(c.Args()) == 1:
		fallback = c.Args()[0]
	case c.FunctionName() != "hasValue":
		return nil, nil, false
	}
	return c.Target(), fallback, true
}

// presence tells what follows when an optional has a value and when it has none.
func (g *guard) presence(of ast.Expr) (yes, no Facts) {
	if ch, ok := chainOf(of); ok && g.isSteps(ch) {
		yes, no = g.present(ch)
	}
	return yes.and(g.there(of)), no
}

// equal visits a == b and tells what follows.
func (g *guard) equal(a, b ast.Expr, in Facts) (yes, no Facts) {
	ay, an := g.walk(a, in)
	by, bn := g.walk(b, in)
	if a.Kind() == ast.LiteralKind {
		a, b, ay, an = b, a, by, bn
	}
	if b.Kind() != ast.LiteralKind {
		return Facts{}, Facts{}
	}
	switch b.AsLiteral() {
	case types.True:
		return ay, an
	case types.False:
		return an, ay
	}
	g.among(a, b)
	if id, ok := g.status(a); ok {
		if o := g.outcome(b, id); o != 0 {
			return about(id, anyOutcome&^o), about(id, o)
		}
		return Facts{}, Facts{}
	}
	of, fallback, ok := optional(a)
	if !ok || fallback == nil || fallback.Kind() != ast.LiteralKind {
		return Facts{}, Facts{}
	}
	// A value that differs from the one that stands in for it is there.
	yes, _ = g.presence(of)
	if fallback.AsLiteral().Equal(b.AsLiteral()) == types.True {
		return Facts{}, yes
	}
	if ch, ok := chainOf(of); ok && g.isSteps(ch) && len(ch.links) == 2 && ch.links[1].name == "status" {
		if o := g.outcome(b, ch.links[0].name); o != 0 {
			yes = about(ch.links[0].name, anyOutcome&^o)
		}
	}
	return yes, Facts{}
}

// in visits a in b and tells what follows for a status in a list of literals.
func (g *guard) in(a, b ast.Expr, in Facts) (yes, no Facts) {
	g.walk(a, in)
	g.walk(b, in)
	if b.Kind() == ast.ListKind {
		for _, item := range b.AsList().Elements() {
			g.among(a, item)
		}
	}
	id, ok := g.status(a)
	if !ok || b.Kind() != ast.ListKind {
		return Facts{}, Facts{}
	}
	var all Outcomes
	for _, item := range b.AsList().Elements() {
		if item.Kind() != ast.LiteralKind {
			return Facts{}, Facts{}
		}
		all |= g.outcome(item, id)
	}
	return about(id, anyOutcome&^all), about(id, all)
}

// status recognises steps.x.status.
func (g *guard) status(e ast.Expr) (id string, ok bool) {
	ch, ok := chainOf(e)
	if !ok || !g.isSteps(ch) || ch.test || len(ch.links) != 2 || ch.links[1].name != "status" {
		return "", false
	}
	if ch.links[0].optional || ch.links[1].optional {
		return "", false
	}
	return ch.links[0].name, true
}

// outcome returns what a status that is compared with stands for.
func (g *guard) outcome(literal ast.Expr, id string) Outcomes {
	name, ok := textOf(literal)
	if !ok {
		return 0
	}
	switch name {
	case "succeeded":
		return Succeeded
	case "failed":
		return Failed
	case "skipped":
		return Skipped
	}
	g.errorf("unknown-status", g.places.node(literal), diag.DidYouMean(name, "a step's status", []string{"succeeded", "failed", "skipped"}),
		"the status of %s is never %q", id, name)
	return 0
}

// among reports an input that is compared with a text which is none of those that it may be.
func (g *guard) among(a, b ast.Expr) {
	text, isText := textOf(b)
	ch, ok := chainOf(a)
	if !isText || !ok || ch.test || ch.root != "inputs" || g.local("inputs") != nil {
		return
	}
	t := g.scope.follow(ch.names())
	if t == nil || len(t.Enum) == 0 || t.AnyCase || slices.Contains(t.Enum, any(text)) {
		return
	}
	known := make([]string, len(t.Enum))
	for i, v := range t.Enum {
		known[i] = fmt.Sprint(v)
	}
	g.add(diag.Diagnostic{Severity: diag.Warning, Code: "unknown-value", Range: g.places.node(b),
		Message: fmt.Sprintf("%s is never %q", ch, text), Hint: diag.DidYouMean(text, "allowed", known)})
}

// lookup reports steps[…].
func (g *guard) lookup(e ast.Expr) {
	hint := "name the step: steps.<id>.outputs"
	if id, ok := textOf(e.AsCall().Args()[1]); ok {
		hint = "write steps." + id
	}
	g.errorf("not-a-value", g.places.node(e), hint, "steps cannot be looked up: what is known about a step goes by its id")
}

// present tells what follows when a chain turns out to be there and when it does not.
func (g *guard) present(ch chain) (yes, no Facts) {
	if len(ch.links) < 2 {
		return Facts{}, Facts{}
	}
	id, part := ch.links[0].name, ch.links[1].name
	switch {
	case part == "error":
		if len(ch.links) == 2 {
			no = about(id, Failed)
		}
		return about(id, Succeeded|Skipped), no
	case part != "outputs":
		return Facts{}, Facts{}
	case len(ch.links) == 2:
		return about(id, Skipped), about(id, Succeeded|Failed)
	}
	name := ch.links[2].name
	if st := g.scope.steps.m[id]; len(ch.links) == 3 && st.Outputs != nil {
		switch f := outputField(st.Outputs, name); {
		case f != nil && f.Always:
			no = about(id, Succeeded|Failed)
		case f != nil && f.Required:
			no = about(id, Succeeded)
		}
	}
	return about(id, Skipped, name), no
}

func (g *guard) isSteps(ch chain) bool {
	return ch.root == ".steps" || ch.root == "steps" && g.local("steps") == nil
}

// read reports what is wrong with reading a chain where the facts in hold.
func (g *guard) read(ch chain, in Facts) {
	if len(ch.links) == 0 {
		g.errorf("not-a-value", g.places.at(ch.start(g.places)), diag.DidYouMean("", "read one step, such as steps.<id>.outputs; steps that can be read here", g.scope.visibleSteps()),
			"steps is not a value of its own")
		return
	}
	id := ch.links[0].name
	st, ok := g.scope.steps.m[id]
	if !ok {
		return // the checker has said so
	}
	step := "steps." + id
	if st.Hidden != "" {
		g.errorf("out-of-scope", ch.upTo(g.places, 1), "", "%s cannot be read here: %s", step, st.Hidden)
		return
	}
	if len(ch.links) == 1 {
		hint := fmt.Sprintf("read %[1]s.status, %[1]s.outputs, %[1]s.attempts or %[1]s.error", step)
		g.errorf("not-a-value", ch.upTo(g.places, 1), hint, "%s is not a value of its own", step)
		return
	}
	if ch.test || ch.optional() {
		return
	}
	names := ch.names()[1:]
	known := in.steps[id]
	known.not |= anyOutcome &^ st.Outcomes
	known.has = union(known.has, st.has)
	if in.never {
		known.not = anyOutcome
	}
	if why := needs(names, known, st.Outputs); why != safe {
		g.demand(ch, names, why)
	}
}
