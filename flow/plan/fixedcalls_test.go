package plan_test

import (
	"testing"

	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFixedCalls(t *testing.T) {
	const (
		note    = "  - action: test.note\n    with: {text: a}\n"
		inputs  = "inputs: {names: {type: array, items: {type: string}, default: []}, vip: {type: boolean, default: true}}\n"
		foreach = "  - foreach: ${inputs.names}\n    as: name\n    steps: [{action: test.note, with: {text: '${name}'}}]\n"
	)
	for steps, want := range map[string]bool{
		note:                                  true,
		note + "    retry: {}\n":              true,
		"  - wait: 1s\n" + foreach:            true,
		foreach + "    concurrency: 2\n":      false,
		foreach + "    allow_failure: true\n": true,
		"  - foreach: ${inputs.names.filter(n, n != '' && now() > timestamp('2026-01-01T00:00:00Z'))}\n    as: name\n    steps: [{action: test.note, with: {text: a}}]\n": false,
		"  - foreach: [a]\n    as: name\n    allow_failure: true\n    steps: [{action: test.note, with: {text: a}}, {action: test.note, with: {text: b}}]\n":              false,
		note + "    if: inputs.vip\n":                        true,
		note + "    if: random(1, 2) == 1\n":                 false,
		note + "    if: run.id == ''\n":                      false,
		"  - set: {a: 1}\n" + note + "    if: vars.a == 1\n": false,
		note + "    id: one\n    allow_failure: true\n" + note + "    if: steps.one.status == 'failed'\n":                   false,
		"  - switch:\n    - when: inputs.vip\n      steps: [{action: test.note, with: {text: a}}]\n":                        true,
		"  - switch:\n    - when: uuid() != ''\n      steps: [{action: test.note, with: {text: a}}]\n":                      false,
		"  - parallel:\n      a: [{action: test.note, with: {text: a}}]\n      b: [{action: test.note, with: {text: a}}]\n": false,
		"  - try: [{action: test.note, with: {text: a}}]\n    catch: [{steps: [{wait: 1s}]}]\n":                             false,
		note + "on_failure:\n" + note:                false,
		"  - call: child\n":                          true,
		"  - call: child\n    allow_failure: true\n": false,
	} {
		lib := flows(t, map[string]string{"main": "flow: main\n" + inputs + "steps:\n" + steps, "child": "flow: child\nsteps:\n" + note})
		p, diags := plan.Compile(lib.Flow("main"), lib)
		require.False(t, diags.HasErrors(), diags)
		assert.Equal(t, want, p.FixedCalls(func(string) bool { return false }), steps)
	}
	p := compiled(t, flows(t, map[string]string{"main": "flow: main\nsteps:\n  - {id: each, foreach: '${random(1, 2) == 1 ? [\"a\"] : []}', as: name, steps: [{action: test.note, with: {text: a}}]}\n"}), "main")
	assert.True(t, p.FixedCalls(func(place string) bool { return place == "each" }), "its list is known")
	assert.False(t, p.FixedCalls(func(place string) bool { return place != "each" }))
}
