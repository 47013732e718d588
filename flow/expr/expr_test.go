package expr_test

import (
	"strings"
	"testing"

	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEvalError(t *testing.T) {
	for source, want := range map[string]string{
		`${inputs.order.note}`:                                    "no such key: note",
		`${inputs.extra.deep.nope}`:                               "no such key: nope",
		`${inputs.extra.n.nope}`:                                  "no such key: nope",
		`${inputs.extra.nope + 1}`:                                "no such key: nope",
		`${inputs.order.?note.value()}`:                           "value() was called on an optional that has no value; use orValue(…)",
		`${inputs.tags[7]}`:                                       "index out of bounds: 7",
		`${1 / (inputs.count - 3)}`:                               "division by zero",
		`${9223372036854775807 + inputs.count}`:                   "integer overflow",
		`${18446744073709551615u}`:                                "18446744073709551615u is too large for an integer",
		`${1.0 / (inputs.price - 2.5)}`:                           "the number is infinite or not a number",
		`${inputs.extra.deep + 1}`:                                "a value has a type that the expression does not accept",
		`a ${inputs.extra.deep}`:                                  "a map cannot be inserted into text; use one of its fields or json(…)",
		`a ${inputs.extra.deep.list}`:                             `a list cannot be inserted into text; use .join(", ") or json(…)`,
		`a ${inputs.extra.deep.list[2]}`:                          `null cannot be inserted into text; choose what to write, such as x == null ? "" : x`,
		`${format(now(), "DD", inputs.name)}`:                     `"Zoé" is not a time zone; write one such as "Europe/Paris", "UTC" or "+02:00"`,
		`${format(now(), "DDD " + inputs.name, "UTC")}`:           `the layout "DDD Zoé" contains DDD, but only YYYY, MM, DD, HH, mm and ss are known; put words outside of it`,
		`${pad(1, 101)}`:                                          "pad: the width must be between 0 and 100, not 101",
		`${pad(1, -1)}`:                                           "pad: the width must be between 0 and 100, not -1",
		`${e164("12", "FR")}`:                                     `e164: "**" cannot be a phone number in FR`,
		`${e164("12", inputs.name)}`:                              `e164: "Zoé" is not a region; write one such as "FR"`,
		`${duration(inputs.name)}`:                                `"Zoé" is not a duration; write one such as "90s", "24h" or "7d"`,
		`${random(6, 1)}`:                                         "random(6, 1): the first number is greater than the second",
		`${random(13, 14)}`:                                       "no luck",
		`${dyn(b"x")}`:                                            "a flow cannot hold bytes; use base64.encode(…) or string(…)",
		`${dyn({1: 2})}`:                                          "the keys of a map must be strings, but 1 is not",
		`${lists.range(2000).map(i, lists.range(2000))}`:          "the expression is over its cost limit of 1000000",
		`${lists.range(1000).map(i, lists.range(1000).size())}`:   "the expression is over its cost limit of 1000000",
		`${"x".replace("", inputs.name)  + big.replace("", big)}`: "the value is over the size limit of 1024 KiB; split a longer list among several runs",
		`${big.split("").join(big)}`:                              "the value is over the size limit of 1024 KiB; split a longer list among several runs",
		`${[big, big, big]}`:                                      "the value is over the size limit of 1024 KiB; split a longer list among several runs",
		`${big}${big}${big}`:                                      "the value is over the size limit of 1024 KiB; split a longer list among several runs",
		`${deep}`:                                                 "the value is nested more than 100 deep",
		`${[deep]}`:                                               "the value is nested more than 100 deep",
	} {
		s, v := scope(), vars()
		s.AllowAbsent()
		s.Bind("big", schema.StringType)
		values := v.Values.(expr.Map)
		values["big"] = strings.Repeat("x", 400_000)
		s.Bind("deep", schema.AnyType)
		var deep any = "bottom"
		for range 200 {
			deep = []any{deep}
		}
		values["deep"] = deep
		p, list := expr.Compile(textOf(source), s)
		require.Empty(t, list, source)
		_, err := p.Eval(v)
		var failure *expr.EvalError
		if assert.ErrorAs(t, err, &failure, source) {
			assert.Equal(t, want, failure.Message, source)
			if inner, ok := strings.CutPrefix(source, "${"); ok && !strings.Contains(inner, "${") {
				assert.Equal(t, strings.TrimSuffix(inner, "}"), failure.Expression)
			}
			assert.NotNil(t, failure.Range.Source, source)
		}
	}
}

func TestEvalErrorPointsAtThePart(t *testing.T) {
	for source, want := range map[string]string{
		"a ${inputs.extra.nope + 1} b":      "nope",
		"a ${inputs.order.note} b":          "${inputs.order.note}",
		"${1 / (inputs.count - 3)}":         "/",
		"${inputs.name + e164('12', 'FR')}": "e164",
		"${inputs.tags[7] + ''}":            "[",
		"a ${inputs.extra.deep} b":          "${inputs.extra.deep}",
	} {
		s := scope()
		s.AllowAbsent()
		p, list := expr.Compile(textOf(source), s)
		require.Empty(t, list, source)
		_, err := p.Eval(vars())
		var failure *expr.EvalError
		require.ErrorAs(t, err, &failure, source)
		assert.Equal(t, want, source[failure.Range.Start:failure.Range.End], source)
	}
}

func TestRandomIsNotAvailable(t *testing.T) {
	v := vars()
	v.Random = nil
	for _, source := range []string{"${uuid()}", "${random(1, 2)}"} {
		p, list := expr.Compile(textOf(source), scope())
		require.Empty(t, list)
		_, err := p.Eval(v)
		assert.ErrorContains(t, err, "is not available here")
	}
}

func TestProgram(t *testing.T) {
	s := scope()
	for source, want := range map[string]*schema.Type{
		"x":                                 schema.StringType,
		"x ${inputs.count}":                 schema.StringType,
		"${inputs.count}":                   schema.IntType,
		"${inputs.count + 1}":               schema.IntType,
		"${steps.notify.outputs}":           sendOutputs,
		"${(steps.notify.outputs)}":         sendOutputs,
		"${inputs.tags}":                    schema.ListOf(schema.StringType),
		"${inputs.tags.map(t, size(t))}":    schema.ListOf(schema.IntType),
		"${inputs.prices}":                  schema.MapOf(schema.NumberType),
		"${now()}":                          schema.TimestampType,
		"${inputs.pause + inputs.pause}":    schema.DurationType,
		"${inputs.extra.x}":                 schema.AnyType,
		"${inputs.?name}":                   schema.StringType,
		"${steps.ran.outputs.contacts[0]}":  nil,
		"${steps.notify.outputs.body.a[0]}": schema.AnyType,
		"${inputs.urgent ? 1u : 2u}":        schema.IntType,
		"${[]}":                             schema.ListOf(schema.AnyType),
	} {
		p, list := expr.Compile(textOf(source), s)
		if want == nil {
			assert.True(t, list.HasErrors())
			assert.Nil(t, p)
			continue
		}
		require.Empty(t, list, source)
		assert.Equal(t, want, p.Type(), source)
		assert.Equal(t, strings.Contains(source, ".?"), p.Optional(), source)
		_, literal := p.Literal()
		assert.Equal(t, source == "x", literal, source)
	}
}

func TestCondition(t *testing.T) {
	for source, want := range map[string]any{
		`inputs.urgent`:                        true,
		`!inputs.urgent`:                       false,
		` inputs.name == "Zoé" `:               true,
		`inputs.extra.n == 1`:                  true,
		`inputs.extra.n`:                       "the condition must give a bool, but gave 1",
		`inputs.name`:                          `a condition must be bool, but this is string [type-mismatch] (compare it with a value, such as inputs.name != "")`,
		`inputs.tags`:                          `a condition must be bool, but this is list of string [type-mismatch] (check its size, such as … .size() > 0)`,
		`inputs.order`:                         `a condition must be bool, but this is object [type-mismatch] (compare it with == or !=)`,
		`inputs.?urgent`:                       `a condition must be bool, but this is optional [type-mismatch] (give a fallback value, such as .orValue(false))`,
		`null`:                                 `a condition must be bool, but this is null [type-mismatch] (compare it with == or !=)`,
		``:                                     "the condition is empty [empty-expression] (write a condition such as inputs.name != \"\")",
		`${inputs.urgent}`:                     "a condition is an expression already: it must not have ${ } [expression-syntax] (write inputs.urgent)",
		`steps.reply.outputs.text == ""`:       "steps.reply may not have run [maybe-unset] (add `if: steps.reply.status == \"succeeded\"`, or write `steps.?reply.outputs.text.orValue(\"\")`)",
		`error.code == "x"`:                    "there is no error here [unknown-name] (error exists only in catch and on_failure; elsewhere read steps.<id>.error)",
		`steps.ran.status == "failed" && true`: true,
		`steps.?reply.outputs.text.hasValue()`: false,
		`random(1, 6) == 1`:                    true,
	} {
		p, _, _, list := expr.Condition(textOf(source), scope())
		if len(list) > 0 {
			d := list[0]
			assert.Equal(t, want, d.Message+" ["+d.Code+"] ("+d.Hint+")", source)
			assert.Nil(t, p, source)
			continue
		}
		got, err := p.Eval(vars())
		if err != nil {
			got = err.Error()
		}
		assert.Equal(t, want, got, source)
	}
}

func TestScope(t *testing.T) {
	s := scope()
	fork := s.Fork()
	fork.Bind("item", schema.IntType)
	fork.SetVar("lang", schema.IntType)
	fork.SetVar("new", schema.StringType)
	fork.SetStep("later", expr.Step{Outputs: replyOutputs, Outcomes: expr.Succeeded})
	s.Bind("item", schema.StringType)

	assert.Equal(t, schema.StringType, s.Var("lang"))
	assert.Equal(t, schema.IntType, fork.Var("lang"))
	assert.Nil(t, s.Var("new"))
	_, ok := s.Step("later")
	assert.False(t, ok)
	for _, c := range []struct {
		scope  *expr.Scope
		source string
		ok     bool
	}{
		{fork, "${item + 1}", true},
		{s, "${item + 1}", false},
		{s, "${item + 'x'}", true},
		{fork, "${steps.later.outputs.text}", true},
		{s, "${steps.later.outputs.text}", false},
		{fork, "${(vars.lang) + 1}", true},
		{s, "${(vars.lang) + 1}", false},
	} {
		_, list := expr.Compile(textOf(c.source), c.scope)
		assert.Equal(t, c.ok, len(list) == 0, "%s: %v", c.source, list)
	}
	// A variable that is bound anew has its new type, also after a check.
	s.Bind("item", schema.IntType)
	_, list := expr.Compile(textOf("${item + 1}"), s)
	assert.Empty(t, list)
}

func TestReserved(t *testing.T) {
	for name, want := range map[string]string{
		"in": "a word of CEL", "true": "a word of CEL", "inputs": "a variable", "event": "a variable",
		"size": "a function", "now": "a function", "json": "a function", "math": "a function", "duration": "a function", "has": "a function",
		"item": "", "first": "", "order": "", "text": "",
	} {
		what, ok := expr.Reserved(name)
		assert.Equal(t, want, what, name)
		assert.Equal(t, want != "", ok, name)
	}
}

// The same variables give the same result, whatever the order of Go's maps.
func TestDeterminism(t *testing.T) {
	for _, source := range []string{
		"${inputs.prices.map(k, k)}",
		"${inputs.extra.map(k, k)}",
		"${dyn(inputs.prices).map(k, string(inputs.prices[k]))}",
		"${inputs.prices.transformMap(k, v, v).transformList(k, v, k)}",
		"${ {'b': 1, 'a': 2, 'c': 3}.map(k, k)}",
		"${ {'b': {'y': 1, 'x': 2}, 'a': {'w': 1, 'v': 2}}.transformList(k, m, m.map(i, k + i))}",
		"${json(inputs)}",
		"${'%s'.format([inputs.prices])}",
		"${inputs.prices.map(k, random(1, 6))}",
		"${inputs.prices.transformMapEntry(k, v, {k + 'x': random(1, 6)})}",
		"${inputs.free.exists(k, k == 'z')} ${inputs.prices.filter(k, inputs.prices[k] > 2.0).join()}",
	} {
		p, list := expr.Compile(textOf(source), scope())
		require.Empty(t, list, source)
		want, err := p.Eval(vars())
		require.NoError(t, err, source)
		for range 50 {
			got, err := p.Eval(vars())
			require.NoError(t, err)
			require.Equal(t, want, got, source)
		}
	}
}

// A bare path has the same result as CEL's evaluation of it, and the same error if it fails.
func TestPathsAgreeWithCEL(t *testing.T) {
	s := scope()
	s.Bind("any", schema.AnyType)
	roots := []string{"inputs", "any", "settings", "run", "vars", "steps.notify", "steps.ran", "steps.maybe", "steps.failed"}
	fields := []string{
		"phone", "count", "when", "pause", "tags", "prices", "order", "extra", "free", "tea", "id", "note", "n", "deep", "list", "z",
		"shop", "vip", "lang", "texts", "fr", "flow", "started_at", "outputs", "status", "attempts", "error", "code", "details", "status_code",
		"message_id", "repeats", "body", "messages", "text", "nope",
	}
	agree := 0
	var try func(path string, depth int)
	try = func(path string, depth int) {
		bare, list := expr.Compile(textOf("${"+path+"}"), s)
		cel, same := expr.Compile(textOf("${("+path+")}"), s)
		require.Equal(t, messages(same), messages(list), path)
		if bare != nil {
			v := vars()
			values := v.Values.(expr.Map)
			values["any"] = values["inputs"]
			got, err := bare.Eval(v)
			want, wantErr := cel.Eval(v)
			require.Equal(t, want, got, path)
			require.Equal(t, message(wantErr), message(err), path)
			agree++
		} else if depth > 0 && path != "steps.notify" && path != "steps.ran" && path != "steps.maybe" && path != "steps.failed" && path != "vars" {
			return
		}
		if depth < 2 || depth == 2 && strings.HasPrefix(path, "steps.") {
			for _, f := range fields {
				try(path+"."+f, depth+1)
			}
		}
	}
	for _, root := range roots {
		try(root, 0)
	}
	assert.Greater(t, agree, 1000)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// For the race detector: programs may be shared.
func TestProgramsAreSafeForConcurrentUse(t *testing.T) {
	for _, source := range []string{"${inputs.phone}", "n° ${inputs.count + 1}", "${inputs.prices.map(k, k)}", "${inputs.extra.nope + 1}", "${inputs.extra.deep + 1}", "${'x'.matches('^x+$')}"} {
		p, list := expr.Compile(textOf(source), scope())
		require.Empty(t, list)
		v := vars()
		done := make(chan any)
		for range 4 {
			go func() {
				got, _ := p.Eval(v)
				done <- got
			}()
		}
		first := <-done
		for range 3 {
			assert.Equal(t, first, <-done)
		}
	}
}

// Hostile expressions are refused or evaluated, either within the limits.
func TestHostileExpressions(t *testing.T) {
	for _, inner := range []string{
		strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000),
		strings.Repeat("[", 500) + strings.Repeat("]", 500),
		strings.Repeat("-", 5000) + "1",
		strings.Repeat("!", 5000) + "true",
		strings.Repeat("true ? ", 2000) + "1" + strings.Repeat(" : 2", 2000),
		strings.Repeat("a.", 4000) + "a",
		strings.Repeat("1 + ", 4000) + "1",
		strings.Repeat("[1].map(x, ", 300) + "1" + strings.Repeat(")", 300),
		strings.Repeat("has(a.b) || ", 1000) + "true",
		strings.Repeat("x", 200_000),
		strings.Repeat("{'a': ", 80) + "1" + strings.Repeat("}", 80),
		strings.Repeat("(", 95) + "1" + strings.Repeat(")", 95),
		strings.Repeat("((1)+", 60) + "1" + strings.Repeat(")", 60),
	} {
		p, _ := expr.Compile(textOf("${ "+inner+" }"), scope())
		if p != nil {
			_, _ = p.Eval(vars())
		}
	}
}

func TestGeneratedTextsHaveAPlace(t *testing.T) {
	src := diag.NewSource("f.yaml", []byte("when: x"))
	at := diag.Range{Source: src, Start: 6, End: 7}
	_, list := expr.Compile(diag.Generated("${inputs.nope}", at), scope())
	require.Len(t, list, 1)
	assert.Equal(t, at, list[0].Range)
}
