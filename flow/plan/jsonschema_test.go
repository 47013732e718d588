package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// permissiveCatalog has the names that the examples and the parser's corpus use as well, with
// actions that take anything.
func permissiveCatalog() *fakeCatalog {
	c := catalog()
	anything := &schema.Type{Kind: schema.Object, Open: true}
	settle := func(_, _ map[string]any, _ call.Receipt, _ string) call.Outcome { return call.Outcome{} }
	for _, name := range []string{"whatsapp.send_message", "whatsapp.mark_read", "http.request"} {
		c.actions = append(c.actions, &call.Signature{
			Name: name, App: "ANY", ConnectionOptional: true, In: anything, Out: anything,
			States: []string{"sent", "delivered", "read"}, Settle: settle,
		})
	}
	for _, e := range c.events {
		e.Connection = true
	}
	return c
}

func compileSchema(t *testing.T, catalog call.Catalog) *jsonschema.Schema {
	text, err := json.Marshal(plan.JSONSchema(catalog))
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("mem:///flow.json", document))
	compiled, err := c.Compile("mem:///flow.json")
	require.NoError(t, err)
	return compiled
}

// validate returns the schema's error for a file, nil if it accepts it.
func validate(t testing.TB, s *jsonschema.Schema, path string, text []byte) error {
	node, diags := flow.ParseValue(path, text)
	require.False(t, diags.HasErrors(), "%s: %v", path, diags)
	return s.Validate(node.Plain(nil))
}

func read(t testing.TB, path string) []byte {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}

func glob(t testing.TB, pattern string) []string {
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	return paths
}

func TestJSONSchemaAccepts(t *testing.T) {
	s := compileSchema(t, permissiveCatalog())
	paths := slices.Concat(
		glob(t, "../../testdata/flows/good/*.flow.yaml"), glob(t, corpus+"/good/*.flow.yaml"),
		glob(t, "../../examples/*/*.flow.yaml"), glob(t, "../../examples/*/flows/*.flow.yaml"))
	require.NotEmpty(t, paths)
	for _, path := range paths {
		assert.NoError(t, validate(t, s, path, read(t, path)), path)
	}
}

// visible are the codes of mistakes that a schema can see; of some codes it sees only some.
var visible = []string{
	"unknown-key", "misplaced-key", "missing-key", "reserved-key", "wrong-kind", "two-kinds", "no-kind",
	"empty-steps", "empty-list", "bad-duration", "bad-value", "bad-connection", "bad-path",
	"braced-condition", "unknown-action", "missing-connection", "no-receipts", "unknown-state", "unknown-event",
	"required", "type", "enum", "pattern", "min-length", "max-length", "minimum", "maximum", "min-items", "max-items",
}

func TestJSONSchemaRefuses(t *testing.T) {
	s := compileSchema(t, catalog())
	seen := map[string]bool{}
	p := open(t)
	for _, path := range slices.Concat(glob(t, "../../testdata/flows/bad/*.flow.yaml"), glob(t, corpus+"/bad/*.flow.yaml")) {
		text := read(t, path)
		if _, diags := flow.ParseValue(path, text); diags.HasErrors() {
			continue // no YAML to look at
		}
		if filepath.Base(path) == "calls.flow.yaml" {
			continue // what other flows are given is not in the schema
		}
		f, diags := flow.Parse(path, text)
		if f != nil {
			_, found := plan.Compile(f, p.library())
			diags.Add(found)
		}
		codes := map[string]bool{}
		for _, d := range diags {
			codes[d.Code] = true
		}
		err := validate(t, s, path, text)
		for code := range codes {
			if slices.Contains(visible, code) {
				seen[code] = true
				assert.Error(t, err, "%s: %v", path, diags)
			}
		}
	}
	for _, code := range visible {
		assert.True(t, seen[code], "no broken file has %s", code)
	}
}

// Small flows with a single mistake.
func TestJSONSchemaOfOneMistake(t *testing.T) {
	s := compileSchema(t, catalog())
	const head = "flow: f\n"
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"an action", "steps: [{action: test.note}]", true},
		{"an unknown key", "steps: [{action: test.note, wiht: {}}]", false},
		{"an unknown input", "steps: [{action: test.note, with: {txt: a}}]", false},
		{"inputs as an expression", `steps: [{action: test.note, with: "${inputs.all}"}]`, true},
		{"inputs as a text", `steps: [{action: test.note, with: all}]`, false},
		{"two kinds", "steps: [{action: test.note, wait: 1s}]", false},
		{"no kind", "steps: [{id: a}]", false},
		{"no connection", `steps: [{action: test.send, with: {recipient: "+33612345678", message_type: text, message: {body: a}}}]`, false},
		{"a text", `steps: [{action: test.send, connection: shop, with: {recipient: "+33612345678", message_type: Text, message: {body: a}}}]`, true},
		{"a message of another type", `steps: [{action: test.send, connection: shop, with: {recipient: "+33612345678", message_type: text, message: {name: a}}}]`, false},
		{"a long text", `steps: [{action: test.send, connection: shop, with: {recipient: "+33612345678", message_type: text, message: {body: "` + strings.Repeat("a", 41) + `"}}}]`, false},
		{"a long text with an expression", `steps: [{action: test.send, connection: shop, with: {recipient: "+33612345678", message_type: text, message: {body: "` + strings.Repeat("a", 41) + ` ${inputs.a}"}}}]`, true},
		{"a message as an expression", `steps: [{action: test.send, connection: shop, with: {recipient: "+33612345678", message_type: text, message: "${inputs.m}"}}]`, true},
		{"a fallback of the default type", `steps: [{action: test.send, connection: shop, with: {recipient: "+33612345678", message_type: text, message: {body: a}, fallback: {message: {body: a}}}}]`, false},
		{"no inputs where some are needed", "steps: [{action: test.send, connection: shop}]", false},
		{"a nested step", "steps: [{if: inputs.a, switch: [{when: inputs.b, steps: [{foreach: [1], as: x, steps: [{wiat: 1s}]}]}]}]", false},
		{"a companion of another kind", "steps: [{wait: 1s, retry: {}}]", false},
		{"a connection that is not taken", "steps: [{action: test.note, connection: shop}]", false},
		{"an event", "steps: [{wait_for: {event: webhook, path: /a, connection: hook}}]", true},
		{"an event that anybody may send", "steps: [{wait_for: {event: webhook, path: /a, connection: none}}]", true},
		{"an event without its connection", "steps: [{wait_for: {event: webhook, path: /a}}]", false},
		{"a webhook", "triggers: [{webhook: {path: /a, connection: hook}}]\nsteps: [{wait: 1s}]", true},
		{"a webhook without its connection", "triggers: [{webhook: {path: /a}}]\nsteps: [{wait: 1s}]", false},
		{"an event with the wrong key", `steps: [{wait_for: {event: webhook, from: "+33612345678"}}]`, false},
		{"an event without its key", "steps: [{wait_for: {event: webhook}}]", false},
		{"on_timeout without a timeout", "steps: [{wait_for: {event: webhook, path: /a, connection: hook}, on_timeout: continue}]", false},
		{"on_timeout", "steps: [{wait_for: {event: webhook, path: /a, connection: hook, timeout: 1h}, on_timeout: [{wait: 1s}]}]", true},
		{"a time-out that is an expression", `steps: [{action: test.note, timeout: "${inputs.t}"}]`, false},
		{"a condition in braces", `steps: [{if: "${inputs.a}", wait: 1s}]`, false},
		{"an input's word of another type", "inputs: {a: {type: string, minimum: 1}}\nsteps: [{wait: 1s}]", false},
		{"an unknown type", "inputs: {a: {type: strin}}\nsteps: [{wait: 1s}]", false},
		{"two triggers in one", "triggers: [{webhook: {path: /a}, schedule: {cron: '* * * * *'}}]\nsteps: [{wait: 1s}]", false},
		{"too many attempts", "steps: [{action: test.note, retry: {attempts: 1000}}]", false},
		{"no steps", "steps: []", false},
		{"a reserved key", "channel: sms\nsteps: [{wait: 1s}]", false},
		{"a try that handles nothing", "steps: [{try: [{wait: 1s}]}]", false},
		{"return", "steps: [{return: }]", true},
	} {
		err := validate(t, s, tt.name, []byte(head+tt.text+"\n"))
		assert.Equal(t, tt.ok, err == nil, "%s: %v", tt.name, err)
	}
}

// The keys of the schema are those of the parser: each place is given an unknown key, and the
// parser's hint lists those that it knows.
func TestJSONSchemaHasTheParsersKeys(t *testing.T) {
	document := plan.JSONSchema(permissiveCatalog())
	defs := document["$defs"].(map[string]any)
	step := defs["step"].(map[string]any)
	in := func(schema any, path ...string) map[string]any {
		for _, name := range path {
			schema = schema.(map[string]any)[name]
		}
		return schema.(map[string]any)
	}
	property := func(schema any, name string) map[string]any { return in(schema, "properties", name) }
	trigger := in(property(document, "triggers"), "items")
	for _, tt := range []struct {
		schema map[string]any
		text   string // with the key zzzzzzzz in that place
	}{
		{document, "flow: f\nzzzzzzzz: 1\nsteps: [{wait: 1s}]"},
		{property(document, "concurrency"), "flow: f\nconcurrency: {zzzzzzzz: 1}\nsteps: [{wait: 1s}]"},
		{trigger, "flow: f\ntriggers: [{zzzzzzzz: 1}]\nsteps: [{wait: 1s}]"},
		{property(trigger, "webhook"), "flow: f\ntriggers: [{webhook: {zzzzzzzz: 1, path: /a}}]\nsteps: [{wait: 1s}]"},
		{property(trigger, "schedule"), "flow: f\ntriggers: [{schedule: {zzzzzzzz: 1}}]\nsteps: [{wait: 1s}]"},
		{property(trigger, "whatsapp_message"), "flow: f\ntriggers: [{whatsapp_message: {zzzzzzzz: 1}}]\nsteps: [{wait: 1s}]"},
		{property(step, "retry"), "flow: f\nsteps: [{action: test.note, retry: {zzzzzzzz: 1}}]"},
		{property(step, "await"), "flow: f\nsteps: [{action: test.note, await: {zzzzzzzz: 1}}]"},
		{property(step, "wait_for"), "flow: f\nsteps: [{wait_for: {zzzzzzzz: 1}}]"},
		{property(step, "fail"), "flow: f\nsteps: [{fail: {zzzzzzzz: 1}}]"},
		{in(property(step, "switch"), "items"), "flow: f\nsteps: [{switch: [{zzzzzzzz: 1}]}]"},
		{in(property(step, "catch"), "items"), "flow: f\nsteps: [{try: [{wait: 1s}], catch: [{zzzzzzzz: 1}]}]"},
	} {
		assert.Equal(t, known(t, tt.text), sorted(in(tt.schema, "properties")), tt.text)
	}

	words := map[string]bool{}
	for _, kind := range []string{"string", "integer", "number", "boolean", "array", "object"} {
		text := "flow: f\ninputs: {a: {type: " + kind + ", zzzzzzzz: 1}}\nsteps: [{wait: 1s}]"
		accepted := known(t, text)
		for _, word := range accepted {
			words[word] = true
		}
		for _, c := range in(defs["type"])["allOf"].([]any) {
			if property(c.(map[string]any)["if"], "type")["const"] == kind {
				for other := range in(c, "then", "properties") {
					assert.NotContains(t, accepted, other, kind)
				}
			}
		}
	}
	assert.Equal(t, sorted(words), sorted(property(map[string]any{"properties": defs}, "type")["properties"].(map[string]any)))

	samples := map[string]string{
		"action": "test.note", "set": "{a: 1}", "switch": "[{when: a, steps: []}]", "foreach": "[1]", "parallel": "{a: [{wait: 1s}]}",
		"try": "[{wait: 1s}]", "wait": "1s", "wait_until": `"2030-01-31T09:00:00Z"`, "wait_for": "{event: webhook, path: /a, connection: hook, timeout: 1h}",
		"call": "other", "return": "{}", "fail": "{code: a, message: b}",
		"id": "a", "description": "a", "if": "a", "allow_failure": "true", "sensitive": "true",
		"connection": "shop", "with": "{}", "retry": "{}", "timeout": "1s", "await": "{state: sent}", "on_unknown": "fail", "unknown_timeout": "1s",
		"idempotent": "true", "default": "[]", "as": "x", "concurrency": "1", "steps": "[{wait: 1s}]", "collect": "1",
		"catch": "[{steps: []}]", "finally": "[{wait: 1s}]", "on_timeout": "fail",
	}
	assert.Equal(t, sorted(samples), sorted(in(step, "properties")))
	needs := map[string]string{"foreach": ", as: x, steps: [{wait: 1s}]", "try": ", finally: [{wait: 1s}]"}
	s := compileSchema(t, permissiveCatalog())
	_, diags := flow.Parse("f", []byte("flow: f\nsteps: [{id: a}]"))
	require.Len(t, diags, 1)
	kinds := strings.Split(strings.TrimPrefix(diags[0].Hint, "a step has one of "), ", ")
	assert.Len(t, step["oneOf"], len(kinds))
	for _, k := range step["oneOf"].([]any) {
		kind := k.(map[string]any)["required"].([]any)[0].(string)
		assert.Contains(t, kinds, kind)
		for key, value := range samples {
			if key == kind || strings.Contains(needs[kind], ", "+key+":") {
				continue
			}
			text := fmt.Sprintf("flow: f\nsteps: [{%s: %s%s, %s: %s}]\n", kind, strings.ReplaceAll(samples[kind], "test.note", "whatsapp.send_message"), needs[kind], key, strings.ReplaceAll(value, "test.note", "whatsapp.send_message"))
			_, diags := flow.Parse("f", []byte(text))
			assert.Equal(t, diags.HasErrors(), validate(t, s, "f", []byte(text)) != nil, "%s %v", text, diags)
		}
	}
}

// known returns the keys that the parser lists in its hint at an unknown one.
func known(t *testing.T, text string) []string {
	_, diags := flow.Parse("f", []byte(text))
	for _, d := range diags {
		if i := strings.LastIndex(d.Hint, ": "); strings.Contains(d.Message, `"zzzzzzzz"`) && i >= 0 {
			keys := strings.Split(d.Hint[i+2:], ", ")
			slices.Sort(keys)
			return keys
		}
	}
	t.Fatalf("nothing lists the keys of %s: %v", text, diags)
	return nil
}

func TestJSONSchemaIsStable(t *testing.T) {
	first, err := json.Marshal(plan.JSONSchema(catalog()))
	require.NoError(t, err)
	for range 10 {
		again, err := json.Marshal(plan.JSONSchema(catalog()))
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
	assert.NotContains(t, string(first), "null}", "every description is there")
}
