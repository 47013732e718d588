package expr_test

import (
	"testing"

	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVariablesThatMayNotBeSet(t *testing.T) {
	s := expr.NewScope()
	s.SetVar("sure", schema.StringType)
	s.MaybeSetVar("lang", schema.StringType)
	s.MaybeSetVar("who", object(field("name", schema.StringType)))
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{"${vars.sure}", true},
		{"${vars.lang}", false},
		{"n° ${vars.lang}", false},
		{`${vars.lang + "x"}`, false},
		{"${vars.?lang}", true},
		{`${vars.?lang.orValue("fr")}`, true},
		{`${has(vars.lang) ? vars.lang : "fr"}`, true},
		{`${has(vars.lang) ? "fr" : vars.lang}`, false},
		{`${has(vars.lang) && vars.lang == "fr"}`, true},
		{`${!has(vars.lang) || vars.lang == "fr"}`, true},
		{`${has(vars.lang) || vars.lang == "fr"}`, false},
		{"${vars.who.name}", false},
		{"${has(vars.who.name)}", false},
		{"${vars.?who.name}", true},
		{"${[1].map(vars, vars)}", true},
	} {
		_, list := expr.Compile(textOf(tt.text), s)
		assert.Equal(t, tt.ok, len(list) == 0, "%s: %v", tt.text, list)
		if !tt.ok && assert.Len(t, list, 1, tt.text) {
			assert.Equal(t, "maybe-unset", list[0].Code)
		}
	}
	_, list := expr.Compile(textOf("${vars.lang}"), s)
	assert.Equal(t, "vars.lang may not be set", list[0].Message)
	assert.Equal(t, "set it beforehand on every path, test it with has(vars.lang), or write `vars.?lang.orValue(\"\")`", list[0].Hint)

	_, yes, no, list := expr.Condition(textOf("has(vars.lang)"), s)
	require.Empty(t, list)
	unset, set := s.Fork(), s.Fork()
	unset.Assume(no)
	set.Assume(yes)
	assert.False(t, compiles(unset, "${vars.lang}"))
	assert.True(t, compiles(set, "${vars.lang}"))
	assert.False(t, compiles(s, "${vars.lang}"))
	s.SetVar("lang", schema.StringType)
	assert.True(t, compiles(s, "${vars.lang}"))
}

func TestJoin(t *testing.T) {
	outputs := object(field("id", schema.StringType))
	start := expr.NewScope()
	for _, id := range []string{"both", "one", "over", "never", "inside"} {
		start.SetStep(id, expr.Step{Hidden: "it has not run yet"})
	}
	ran := expr.Step{Outputs: outputs, Outcomes: expr.Succeeded}
	first, second, ended := start.Fork(), start.Fork(), start.Fork()
	first.SetStep("both", ran)
	second.SetStep("both", ran)
	first.SetStep("one", ran)
	ended.SetStep("over", ran)
	first.SetStep("inside", expr.Step{Hidden: "it is inside a foreach"})
	first.SetVar("a", schema.IntType)
	second.SetVar("a", schema.IntType)
	second.SetVar("b", schema.IntType)
	ended.SetVar("c", schema.IntType)

	s := start.Fork()
	s.Join([]*expr.Scope{first, second}, []*expr.Scope{ended})
	for text, ok := range map[string]bool{
		"${steps.both.outputs.id}":          true,
		"${steps.one.outputs.id}":           false,
		"${steps.one.status}":               true,
		"${steps.?over.outputs.id}":         true,
		"${steps.over.outputs.id}":          false,
		"${steps.never.status}":             false,
		"${vars.a}":                         true,
		"${vars.b}":                         false,
		"${vars.?c}":                        true,
		"${vars.c}":                         false,
		"${has(vars.c) ? vars.c + 1 : 0}":   true,
		`${steps.over.status == "skipped"}`: true,
	} {
		assert.Equal(t, ok, compiles(s, text), text)
	}
	st, _ := s.Step("one")
	assert.Equal(t, expr.Succeeded|expr.Skipped, st.Outcomes)
	st, _ = s.Step("over")
	assert.Equal(t, expr.Skipped, st.Outcomes)
	st, _ = s.Step("never")
	assert.Equal(t, "it has not run yet", st.Hidden)
	st, _ = s.Step("inside")
	assert.Equal(t, "it is inside a foreach", st.Hidden)

	dead := start.Fork()
	dead.Join(nil, []*expr.Scope{ended})
	assert.True(t, compiles(dead, "${steps.over.outputs.id}"), "what follows never runs")
}

func compiles(s *expr.Scope, text string) bool {
	_, list := expr.Compile(textOf(text), s)
	return len(list) == 0
}
