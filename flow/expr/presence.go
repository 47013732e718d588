package expr

import (
	"fmt"
	"slices"

	"facteur/flow/diag"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A presenceChecker walks a checked expression from left to right and demands a test before
// each read of what may be absent: outputs and errors of a step that may have been skipped or
// may have failed, optional properties of inputs, variables that may be unset. It is a
// flow-sensitive analysis: conditions prove Facts for what is evaluated after them.
type presenceChecker struct {
	*check
	loopVars    []loopVar          // variables of the enclosing comprehensions, innermost last
	partsByNode map[int64][]string // the elementParts of visited comprehensions, by node id
}

// walk visits an expression where the facts in hold. It returns what is proved if the
// expression is true and if it is false.
func (pc *presenceChecker) walk(e ast.Expr, in Facts) (yes, no Facts) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch e.AsLiteral() {
		case types.True:
			return Facts{}, Facts{unreachable: true}
		case types.False:
			return Facts{unreachable: true}, Facts{}
		}
	case ast.IdentKind, ast.SelectKind:
		return pc.walkFields(e, in)
	case ast.CallKind:
		return pc.walkCall(e, in)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			pc.walk(item, in)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			pc.walk(entry.AsMapEntry().Key(), in)
			pc.walk(entry.AsMapEntry().Value(), in)
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			pc.walk(f.AsStructField().Value(), in)
		}
	case ast.ComprehensionKind:
		pc.walkComprehension(e, in)
	}
	return Facts{}, Facts{}
}

// walkFields visits a chain of field selections.
func (pc *presenceChecker) walkFields(e ast.Expr, in Facts) (yes, no Facts) {
	before := len(*pc.list)
	switch ch, ok := chainOf(e); {
	case ok && pc.isSteps(ch):
		pc.checkRead(ch, in)
		if ch.test {
			yes, no = pc.chainFacts(ch)
		}
	case ok && pc.isVars(ch):
		yes, no = pc.walkVar(ch, in)
	}
	if len(*pc.list) == before {
		pc.walkProperties(e, in)
	}
	if isTest(e) {
		yes = yes.and(pc.fieldFacts(e))
	}
	return yes, no
}

func (pc *presenceChecker) walkCall(e ast.Expr, in Facts) (yes, no Facts) {
	c := e.AsCall()
	args := c.Args()
	switch c.FunctionName() {
	case optSelect:
		return pc.walkFields(e, in)
	case operators.LogicalAnd:
		no.unreachable = true
		for _, a := range args {
			y, n := pc.walk(a, in.and(yes))
			no = no.or(yes.and(n))
			yes = yes.and(y)
		}
		return yes, no
	case operators.LogicalOr:
		yes.unreachable = true
		for _, a := range args {
			y, n := pc.walk(a, in.and(no))
			yes = yes.or(no.and(y))
			no = no.and(n)
		}
		return yes, no
	case operators.LogicalNot:
		yes, no = pc.walk(args[0], in)
		return no, yes
	case operators.NotStrictlyFalse:
		return pc.walk(args[0], in)
	case operators.Conditional:
		ty, tn := pc.walk(args[0], in)
		ay, an := pc.walk(args[1], in.and(ty))
		by, bn := pc.walk(args[2], in.and(tn))
		return ty.and(ay).or(tn.and(by)), ty.and(an).or(tn.and(bn))
	case operators.Equals:
		return pc.walkEqual(args[0], args[1], in)
	case operators.NotEquals:
		yes, no = pc.walkEqual(args[0], args[1], in)
		return no, yes
	case operators.In:
		return pc.walkIn(args[0], args[1], in)
	case operators.Index, operators.OptIndex:
		if ch, ok := chainOf(args[0]); ok && pc.isSteps(ch) && len(ch.links) == 0 {
			pc.reportLookup(e)
			pc.walk(args[1], in)
			return Facts{}, Facts{}
		}
	}
	if c.IsMemberFunction() {
		pc.walk(c.Target(), in)
	}
	for _, a := range args {
		pc.walk(a, in)
	}
	if of, fallback, ok := optional(e); ok {
		switch yes, no = pc.optionalFacts(of); {
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

// optional matches x.hasValue() and x.orValue(fallback).
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

// optionalFacts returns what is proved if an optional has a value and if it has none.
func (pc *presenceChecker) optionalFacts(of ast.Expr) (yes, no Facts) {
	if ch, ok := chainOf(of); ok && pc.isSteps(ch) {
		yes, no = pc.chainFacts(ch)
	}
	return yes.and(pc.fieldFacts(of)), no
}

// walkEqual visits a == b.
func (pc *presenceChecker) walkEqual(a, b ast.Expr, in Facts) (yes, no Facts) {
	ay, an := pc.walk(a, in)
	by, bn := pc.walk(b, in)
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
	pc.checkEnum(a, b)
	if id, ok := pc.status(a); ok {
		if o := pc.outcome(b, id); o != 0 {
			return factsAbout(id, anyOutcome&^o), factsAbout(id, o)
		}
		return Facts{}, Facts{}
	}
	of, fallback, ok := optional(a)
	if !ok || fallback == nil || fallback.Kind() != ast.LiteralKind {
		return Facts{}, Facts{}
	}
	// A result that differs from the fallback is present.
	yes, _ = pc.optionalFacts(of)
	if fallback.AsLiteral().Equal(b.AsLiteral()) == types.True {
		return Facts{}, yes
	}
	if ch, ok := chainOf(of); ok && pc.isSteps(ch) && len(ch.links) == 2 && ch.links[1].name == "status" {
		if o := pc.outcome(b, ch.links[0].name); o != 0 {
			yes = factsAbout(ch.links[0].name, anyOutcome&^o)
		}
	}
	return yes, Facts{}
}

// walkIn visits a in b, which proves something for a status in a list of literals.
func (pc *presenceChecker) walkIn(a, b ast.Expr, in Facts) (yes, no Facts) {
	pc.walk(a, in)
	pc.walk(b, in)
	if b.Kind() == ast.ListKind {
		for _, item := range b.AsList().Elements() {
			pc.checkEnum(a, item)
		}
	}
	id, ok := pc.status(a)
	if !ok || b.Kind() != ast.ListKind {
		return Facts{}, Facts{}
	}
	var all Outcomes
	for _, item := range b.AsList().Elements() {
		if item.Kind() != ast.LiteralKind {
			return Facts{}, Facts{}
		}
		all |= pc.outcome(item, id)
	}
	return factsAbout(id, anyOutcome&^all), factsAbout(id, all)
}

// status matches steps.x.status.
func (pc *presenceChecker) status(e ast.Expr) (id string, ok bool) {
	ch, ok := chainOf(e)
	if !ok || !pc.isSteps(ch) || ch.test || len(ch.links) != 2 || ch.links[1].name != "status" {
		return "", false
	}
	if ch.links[0].optional || ch.links[1].optional {
		return "", false
	}
	return ch.links[0].name, true
}

// outcome returns the outcome that a status literal stands for, and reports an unknown one.
func (pc *presenceChecker) outcome(literal ast.Expr, id string) Outcomes {
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
	pc.errorf("unknown-status", pc.positions.node(literal), diag.DidYouMean(name, "a step's status", []string{"succeeded", "failed", "skipped"}),
		"the status of %s is never %q", id, name)
	return 0
}

// checkEnum warns about an input that is compared with a text that is not in its enum.
func (pc *presenceChecker) checkEnum(a, b ast.Expr) {
	text, isText := textOf(b)
	ch, ok := chainOf(a)
	if !isText || !ok || ch.test || ch.root != "inputs" || pc.loopVar("inputs") != nil {
		return
	}
	t := pc.scope.pathType(ch.names())
	if t == nil || len(t.Enum) == 0 || t.AnyCase || slices.Contains(t.Enum, any(text)) {
		return
	}
	known := make([]string, len(t.Enum))
	for i, v := range t.Enum {
		known[i] = fmt.Sprint(v)
	}
	pc.add(diag.Diagnostic{Severity: diag.Warning, Code: "unknown-value", Range: pc.positions.node(b),
		Message: fmt.Sprintf("%s is never %q", ch, text), Hint: diag.DidYouMean(text, "allowed", known)})
}

// reportLookup reports steps[…].
func (pc *presenceChecker) reportLookup(e ast.Expr) {
	hint := "name the step: steps.<id>.outputs"
	if id, ok := textOf(e.AsCall().Args()[1]); ok {
		hint = "write steps." + id
	}
	pc.errorf("not-a-value", pc.positions.node(e), hint, "steps cannot be looked up with [ ]: write the id of the step after a dot")
}

// chainFacts returns what is proved if a chain is present and if it is absent.
func (pc *presenceChecker) chainFacts(ch chain) (yes, no Facts) {
	if len(ch.links) < 2 {
		return Facts{}, Facts{}
	}
	id, part := ch.links[0].name, ch.links[1].name
	switch {
	case part == "error":
		if len(ch.links) == 2 {
			no = factsAbout(id, Failed)
		}
		return factsAbout(id, Succeeded|Skipped), no
	case part != "outputs":
		return Facts{}, Facts{}
	case len(ch.links) == 2:
		return factsAbout(id, Skipped), factsAbout(id, Succeeded|Failed)
	}
	name := ch.links[2].name
	if st := pc.scope.steps.m[id]; len(ch.links) == 3 {
		switch f := st.Outputs.Field(name); {
		case f != nil && f.Always:
			no = factsAbout(id, Succeeded|Failed)
		case f != nil && f.Required:
			no = factsAbout(id, Succeeded)
		}
	}
	return factsAbout(id, Skipped, name), no
}

func (pc *presenceChecker) isSteps(ch chain) bool {
	return ch.root == ".steps" || ch.root == "steps" && pc.loopVar("steps") == nil
}

// checkRead reports what is wrong with reading a chain of steps where the facts in hold.
func (pc *presenceChecker) checkRead(ch chain, in Facts) {
	if len(ch.links) == 0 {
		pc.errorf("not-a-value", pc.positions.at(ch.start(pc.positions)), diag.DidYouMean("", "read one step, such as steps.<id>.outputs; steps that can be read here", pc.scope.visibleSteps()),
			"steps as a whole is not a value")
		return
	}
	id := ch.links[0].name
	st, ok := pc.scope.steps.m[id]
	if !ok {
		return // reported by CEL's checker
	}
	step := "steps." + id
	if st.Hidden != "" {
		pc.errorf("out-of-scope", ch.upTo(pc.positions, 1), "", "%s cannot be read here: %s", step, st.Hidden)
		return
	}
	if len(ch.links) == 1 {
		hint := fmt.Sprintf("read %[1]s.status, %[1]s.outputs, %[1]s.attempts or %[1]s.error", step)
		pc.errorf("not-a-value", ch.upTo(pc.positions, 1), hint, "%s as a whole is not a value", step)
		return
	}
	if ch.test || ch.optional() {
		return
	}
	names := ch.names()[1:]
	known := in.steps[id]
	known.excluded |= anyOutcome &^ st.Outcomes
	known.present = union(known.present, st.present)
	if in.unreachable {
		known.excluded = anyOutcome
	}
	if why := absenceOf(names, known, st.Outputs); why != neverAbsent {
		pc.reportStep(ch, names, why)
	}
}
