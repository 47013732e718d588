package plan_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flows returns a library of flows given as text, by name.
func flows(t testing.TB, texts map[string]string) plan.Library {
	parsed := map[string]*flow.Flow{}
	for name, text := range texts {
		f, diags := flow.Parse(name+".flow.yaml", []byte(text))
		require.Empty(t, diags, name)
		parsed[name] = f
	}
	return plan.Library{
		Catalog: catalog(), FlowNames: sorted(parsed),
		Flow: func(name string) *flow.Flow { return parsed[name] },
	}
}

func compiled(t testing.TB, lib plan.Library, name string) *plan.Plan {
	p, diags := plan.Compile(lib.Flow(name), lib)
	require.Empty(t, diags)
	require.NotNil(t, p)
	return p
}

func codes(diags diag.List) (all []string) {
	for _, d := range diags {
		all = append(all, d.Code)
	}
	return all
}

var callers = map[string]string{
	"main":  "flow: main\nsteps:\n  - call: child\n    with: {n: 1}\n",
	"child": "flow: child\ninputs: {n: {type: integer}}\nsteps:\n  - if: inputs.n > 1\n    call: leaf\n",
	"leaf":  "flow: leaf\nsteps:\n  - action: test.note\n    with: {text: a}\n",
	"other": "flow: other\nsteps:\n  - wait: 1s\n",
}

func TestDigest(t *testing.T) {
	digest := func(texts map[string]string) string { return compiled(t, flows(t, texts), "main").Digest }
	first := digest(callers)
	for range 5 {
		require.Equal(t, first, digest(callers))
	}
	for name, changes := range map[string]bool{"main": true, "child": true, "leaf": true, "other": false} {
		texts := maps.Clone(callers)
		texts[name] += "# a comment\n"
		assert.Equal(t, changes, first != digest(texts), name)
	}
	lib := flows(t, callers)
	main := compiled(t, lib, "main")
	assert.Equal(t, []string{"child", "leaf", "main"}, sorted(main.Sources))
	assert.NotEqual(t, compiled(t, lib, "leaf").Digest, compiled(t, lib, "other").Digest)

	c := plan.NewCompiler(lib)
	for _, name := range []string{"leaf", "child", "main"} { // whatever was compiled before
		p, _ := c.Compile(lib.Flow(name))
		assert.Equal(t, compiled(t, lib, name).Digest, p.Digest)
	}
}

// SpecializeCheck is called once it is certain which shape the inputs have.
func TestSpecializeCheck(t *testing.T) {
	for with, want := range map[string]string{
		`{text: a}`:                  "known",
		`{text: "${inputs.a}"}`:      "unknown",
		`{text: "see ${inputs.a}"}`:  "unknown",
		`{text: "${inputs.any.?a}"}`: "", // it may be left out
	} {
		lib := flows(t, map[string]string{"main": "flow: main\ninputs: {a: {type: string}, any: {type: object}}\n" +
			"steps:\n  - set: {all: \"${[inputs.a, inputs.any]}\"}\n  - action: test.note\n    with: " + with + "\n"})
		specializedFor := ""
		lib.Catalog.Action("test.note").SpecializeCheck = func(in schema.Value) func(schema.Value) schema.Violations {
			if specializedFor = "known"; in.Get("text").IsUnknown() {
				specializedFor = "unknown"
			}
			return func(schema.Value) schema.Violations { return nil }
		}
		p := compiled(t, lib, "main")
		assert.Equal(t, want, specializedFor, with)

		specializedFor = ""
		_, diags := plan.Restore("main", p.Texts, lib)
		require.Empty(t, diags)
		assert.Empty(t, specializedFor, "what is stored was checked by whoever stored it")
	}
}

// A specialized plan gives a call the same inputs as one that is not, with which a run is
// resumed.
func TestSpecializedInputs(t *testing.T) {
	lib := flows(t, map[string]string{"main": `
flow: main
inputs:
  phone: {type: string, format: e164}
  text: {type: string}
  kind: {type: string}
  count: {type: integer}
  any: {type: object}
steps:
  - action: test.send
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: TEXT, message: {body: "${inputs.text}"}, ttl: 90s, priority: 2, send_at: "2030-01-31T09:00:00+01:00"}
  - action: test.send
    connection: shop
    with: {recipient: +33612345678, message_type: "${inputs.kind}", message: {body: salut, preview_url: true}, labels: {a: 1.50, b: "${inputs.text}"}}
  - action: test.send
    connection: shop
    with:
      recipient: ${inputs.phone}
      message_type: Template
      message:
        name: order
        language: {code: fr}
        components:
          - type: HEADER
            index: 0
          - type: Body
            parameters: [{type: text, text: "${inputs.text}"}, {type: currency, amount: "${inputs.count}"}]
      fallback: {message: {name: other, language: {code: "${inputs.text}"}}}
  - action: test.send
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: contacts, message: [{name: a}, {name: "${inputs.text}"}], reply_to: "${inputs.any.?id}"}
  - action: test.get
    with: {url: a, json: {list: [1, 2.0, "${inputs.count}", {when: 90s}]}, expect_status: [200, "${inputs.count}"]}
  - action: test.get
    with: {url: a, method: post}
  - action: test.note
    with: ${inputs.any}
`})
	p := compiled(t, lib, "main")
	restored, diags := plan.Restore("main", p.Texts, lib)
	require.Empty(t, diags)
	calls := 0
	for _, inputs := range []map[string]any{
		{"phone": "+33612345678", "text": "fr", "kind": "text", "count": int64(3), "any": map[string]any{"text": "x"}},
		{"phone": "+33612345678", "text": "fr", "kind": "text", "count": int64(3), "any": map[string]any{"id": "x"}},
		{"phone": "06", "text": strings.Repeat("é", 50), "kind": "image", "count": int64(-1), "any": map[string]any{"text": int64(1)}},
		{"phone": "", "text": "", "kind": "", "count": int64(0), "any": map[string]any{}},
	} {
		values := func(a *plan.Action) (any, schema.Violations) {
			v, err := a.With.Eval(expr.Vars{Values: expr.Map{"inputs": inputs}})
			require.NoError(t, err)
			return a.Input(v)
		}
		for i := range p.Steps {
			got, found := values(p.Steps[i].Do.(*plan.Action))
			want, wrong := values(restored.Steps[i].Do.(*plan.Action))
			assert.Equal(t, wrong, found, "step %d of %v", i, inputs)
			if wrong.Err() == nil {
				assert.Equal(t, want, got, "step %d of %v", i, inputs)
				calls++
			}
		}
	}
	assert.Greater(t, calls, 12)
}

// A run is resumed that an earlier version started, which did not ask for a test of what may
// be absent.
func TestRestoreEarlierVersion(t *testing.T) {
	texts := map[string]string{"main": "flow: main\ninputs: {p: {type: object, properties: {a: {type: string}}}}\nsteps:\n  - set: {x: '${inputs.p.a}', y: '${[inputs.p].map(p, p.a)}'}\n"}
	lib := flows(t, texts)
	_, diags := plan.Compile(lib.Flow("main"), lib)
	assert.Equal(t, []string{"maybe-unset", "maybe-unset"}, codes(diags))
	p, diags := plan.Restore("main", texts, plan.Library{Catalog: catalog()})
	assert.Empty(t, diags)
	assert.NotNil(t, p)
}

// A run is resumed from its stored sources, also if limits, rules, connections or lint have
// become stricter since; not if types have changed.
func TestRestore(t *testing.T) {
	lib := flows(t, map[string]string{"main": `
flow: main
inputs: {unused: {type: string, default: x}}
steps:
  - action: test.send
    connection: shop
    with: {recipient: "+33612345678", message_type: text, message: {body: Bonjour}, priority: 4, once: a}
  - call: child
`, "child": "flow: child\nsteps:\n  - wait_for: {event: test.message, from: '+33612345678', timeout: 1h}\n  - return: {}\n  - wait: 1s\n"})
	loose := catalog()
	loose.actions[0].Check = nil
	lib.Catalog = loose
	before, diags := plan.Compile(lib.Flow("main"), lib)
	require.False(t, diags.HasErrors())
	stored := map[string]string{}
	for name, src := range before.Sources {
		stored[name] = string(src.Text)
	}

	strict := catalog()
	message := strict.actions[0].In.Field("message").Type.Case("text")
	message.Field("body").Type = upTo(3)
	least := 5.0
	strict.actions[0].In.Field("priority").Type = &schema.Type{Kind: schema.Int, Minimum: &least}
	strict.events[0].Subject = func(string) (string, error) { return "", assert.AnError }
	now := plan.Library{Catalog: strict, ConnectionApp: func(string) (string, bool) { return "HTTP", true }}
	after, diags := plan.Restore("main", stored, now)
	assert.Empty(t, diags)
	require.NotNil(t, after)
	assert.Equal(t, before.Digest, after.Digest)
	assert.Equal(t, before.Name, after.Name)

	now.Flow = lib.Flow
	_, diags = plan.Compile(lib.Flow("main"), now)
	assert.Equal(t, []string{"unused-input", "wrong-connection", "max-length", "minimum", "test-no-ledger", "called-flow"}, codes(diags))

	message.Field("body").Type = schema.IntType
	after, diags = plan.Restore("main", stored, now)
	assert.Nil(t, after)
	assert.Equal(t, []string{"type"}, codes(diags))
	_, diags = plan.Restore("gone", stored, now)
	assert.Equal(t, []string{"unknown-flow"}, codes(diags))
	_, diags = plan.Restore("main", map[string]string{"main": "flow: ["}, now)
	assert.True(t, diags.HasErrors())
}

func TestCyclesWhateverIsCompiledFirst(t *testing.T) {
	lib := flows(t, map[string]string{
		"a": "flow: a\nsteps:\n  - call: b\n",
		"b": "flow: b\nsteps:\n  - call: c\non_failure:\n  - call: c\n",
		"c": "flow: c\nsteps:\n  - call: a\n",
		"d": "flow: d\nsteps:\n  - call: a\n  - call: a\n",
	})
	for _, order := range []string{"abcd", "dcba", "bdac"} {
		c := plan.NewCompiler(lib)
		for _, r := range order {
			_, diags := c.Compile(lib.Flow(string(r)))
			want := []string{"call-cycle"}
			switch r {
			case 'b':
				want = []string{"call-cycle", "call-cycle"}
			case 'd':
				want = []string{"called-flow"}
			}
			assert.Equal(t, want, codes(diags), "%c in %s: %v", r, order, diags)
		}
	}
}

func TestPlan(t *testing.T) {
	p := open(t)
	lib := p.library()
	c, _ := plan.Compile(p.flows["good_caller"], lib)
	require.NotNil(t, c)
	assert.Equal(t, []string{"called", "again", "steps[2]"}, places(c))
	assert.True(t, c.AllSteps[1].AllowFailure)
	callee := c.AllSteps[0].Do.(*plan.CallFlow).Plan
	assert.Same(t, callee, c.AllSteps[1].Do.(*plan.CallFlow).Plan, "a flow is compiled once")
	assert.Equal(t, []*plan.Plan{c, callee}, c.Flows()[:2])
	assert.Len(t, c.Flows(), 3, "each once")
	assert.True(t, callee.Inputs.Field("phone").Type.Sensitive)
	assert.True(t, callee.AllSteps[2].Sensitive)

	o, _ := plan.Compile(p.flows["good_outside"], lib)
	require.NotNil(t, o)
	assert.Equal(t, []string{"hook", "shop"}, o.Connections)
	assert.Equal(t, []string{"webhook"}, o.Events)
	assert.Equal(t, 7*24*time.Hour, o.Timeout)
	assert.Equal(t, 2, o.Concurrency.Limit)
	assert.True(t, o.Concurrency.Reject)
	require.Len(t, o.Triggers, 4)
	assert.Equal(t, "+33612345678", eval(t, o.Triggers[1].Inputs, nil).(map[string]any)["phone"], "as written")
	send := o.AllSteps[1].Do.(*plan.Action)
	assert.Equal(t, 30*time.Second, send.Timeout)
	assert.Equal(t, &plan.Await{State: "delivered", Timeout: time.Hour}, send.Await)

	w, _ := plan.Compile(p.flows["good_ways"], lib)
	require.NotNil(t, w)
	assert.Contains(t, places(w), "pick.cases[0].steps[0]")
	assert.Contains(t, places(w), "steps[4].catch[1].steps[0]")
	assert.Contains(t, places(w), "steps[4].finally.steps[0]")
	assert.Contains(t, places(w), "on_failure.steps[0]")
	seen := map[string]bool{}
	for _, place := range places(w) {
		assert.False(t, seen[place], place)
		seen[place] = true
	}
	assert.Contains(t, w.CoveragePoints(), plan.CoveragePoint{Flow: "good_ways", Place: "pick", Choice: plan.CaseChoice(1)})
	assert.Contains(t, w.CoveragePoints(), plan.CoveragePoint{Flow: "good_ways", Place: "silent", Choice: plan.TimeoutChoice})
}

func places(p *plan.Plan) (all []string) {
	for _, s := range p.AllSteps {
		all = append(all, s.Place)
	}
	return all
}

func eval(t testing.TB, v *plan.Value, values map[string]any) any {
	x, err := v.Eval(expr.Vars{Values: expr.Map(values)})
	require.NoError(t, err)
	return x
}

func TestValues(t *testing.T) {
	lib := flows(t, map[string]string{"main": `
flow: main
inputs: {n: {type: integer}, any: {type: object}, note: {type: string, default: ""}}
steps:
  - set:
      number: 1.5
      numbers: [0.5]
      text: a
  - set:
      number: 2
      numbers: "${[inputs.n]}"
      text: ${inputs.any.text}
  - set: {number: "${inputs.n}"}
  - action: test.send
    connection: shop
    with:
      recipient: +33612345678
      message_type: text
      message: {body: 012}
      ttl: 90s
      labels: {a: 1.50, b: true, c: "${inputs.?note}"}
  - wait: 1h30m
  - action: test.get
    with: {url: a, json: [1, "${inputs.?gone}", "${inputs.n}"]}
  - if: inputs.n > 3
    return: {ratio: 1}
outputs: {ratio: "${double(inputs.n) / 2.0}"}
`})
	lib.Flow("main").Inputs[0].Field.Required = true
	p, diags := plan.Compile(lib.Flow("main"), lib)
	require.Nil(t, p)
	require.Equal(t, []string{"unknown-field"}, codes(diags), "inputs.gone is not declared")

	text := strings.ReplaceAll(string(lib.Flow("main").Source.Text), "inputs.?gone", "inputs.any.?gone")
	p = compiled(t, flows(t, map[string]string{"main": text}), "main")
	vars := map[string]any{"inputs": map[string]any{"n": int64(3), "any": map[string]any{"text": "b"}, "note": "hi"}}
	set := func(step, i int) *plan.Value { return p.AllSteps[step].Do.(*plan.Set).Values[i].Value }
	assert.Equal(t, 2.0, eval(t, set(1, 0), vars), "a variable that is a number stays one")
	assert.Equal(t, []any{3.0}, eval(t, set(1, 1), vars))
	assert.Equal(t, "b", eval(t, set(1, 2), vars))
	assert.Equal(t, 3.0, eval(t, set(2, 0), vars))
	vars["inputs"].(map[string]any)["any"] = map[string]any{"text": int64(1)}
	_, err := set(1, 2).Eval(expr.Vars{Values: expr.Map(vars)})
	var failed *expr.EvalError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "expected string, got integer", failed.Message)
	assert.Equal(t, 12, failed.Range.Pos().Line)

	with := eval(t, p.AllSteps[3].Do.(*plan.Action).With, vars).(map[string]any)
	assert.Equal(t, "+33612345678", with["recipient"])
	assert.Equal(t, map[string]any{"body": "012"}, with["message"])
	assert.Equal(t, map[string]any{"a": "1.50", "b": "true", "c": "hi"}, with["labels"])
	wait, ok := p.AllSteps[4].Do.(*plan.Wait).For.Literal()
	assert.True(t, ok)
	assert.Equal(t, 90*time.Minute, wait)
	json := eval(t, p.AllSteps[5].Do.(*plan.Action).With, vars).(map[string]any)["json"]
	assert.Equal(t, []any{int64(1), int64(3)}, json, "an optional without a value is left out")
	assert.Equal(t, 1.0, eval(t, p.AllSteps[6].Do.(*plan.Return).Values[0].Value, vars), "of the output's type")
}

func TestSettingsHaveTheirType(t *testing.T) {
	lib := flows(t, map[string]string{"main": "flow: main\nsteps:\n  - if: settings.rates[0] + 0.5 > 1.0\n    wait: 1s\n"})
	lib.Settings = map[string]any{"rates": []any{int64(1), 2.5}}
	p := compiled(t, lib, "main")
	assert.Equal(t, map[string]any{"rates": []any{1.0, 2.5}}, p.Settings)
	assert.Equal(t, []any{int64(1), 2.5}, lib.Settings["rates"], "the library's are its own")
}

func TestManyMistakes(t *testing.T) {
	text := "flow: main\nsteps:\n" + strings.Repeat("  - action: no.such\n    with: {text: \"${inputs.a + inputs.b}\"}\n", 500)
	f, _ := flow.Parse("f", []byte(text))
	_, diags := plan.Compile(f, plan.Library{Catalog: catalog()})
	assert.Len(t, diags, 200)
	assert.Contains(t, diags[199].Hint, "1300 more are not shown")
}

// The constant beginning of a text with expressions is known before it is evaluated.
func TestPrefix(t *testing.T) {
	for path, want := range map[string]string{
		"/paid": "/paid", "/paid/${inputs.id}": "/paid/", "${inputs.id}": "", "${inputs.id}/paid": "", "/${inputs.id}/a/${inputs.id}": "/",
	} {
		p := compiled(t, flows(t, map[string]string{"f": "flow: f\ninputs: {id: {type: string}}\nsteps:\n" +
			"  - {wait_for: {event: webhook, path: '" + path + "', connection: hook}}\n  - {set: {id: '${inputs.id}'}}\n"}), "f")
		wait, ok := p.AllSteps[0].Do.(*plan.WaitFor)
		require.True(t, ok)
		assert.Equal(t, want, wait.Subject.Prefix(), path)
	}
}
