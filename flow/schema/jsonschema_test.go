package schema_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"facteur/flow/schema"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func compile(t *testing.T, document any) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(document)
	require.NoError(t, err)
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, c.AddResource("mem:///schema.json", parsed))
	compiled, err := c.Compile("mem:///schema.json")
	require.NoError(t, err)
	return compiled
}

func valid(t *testing.T, s *jsonschema.Schema, text string) bool {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err, text)
	return s.Validate(v) == nil
}

func TestJSONSchema(t *testing.T) {
	plain, authoring := compile(t, messageType.JSONSchema(false)), compile(t, messageType.JSONSchema(true))
	for _, tt := range []struct {
		fields             string // beside right ones
		plain, expressions bool
	}{
		{``, true, true},
		{`"kind": "TEXT"`, true, true},
		{`"kind": "txt"`, false, false},
		{`"to": "0612345678"`, false, false},
		{`"to": "${inputs.to}"`, false, true},
		{`"mesage": 1`, false, false},
		{`"content": {}`, false, false},
		{`"content": {"body": "x", "boddy": "y"}`, false, false},
		{`"content": {"body": "01234567890"}`, false, false},
		{`"content": {"body": "${inputs.long}"}`, false, true},
		{`"content": "${inputs.content}"`, false, true},
		{`"content": "x"`, false, false},
		{`"kind": "${inputs.kind}", "content": {"free": 1}`, false, true},
		{`"kind": "Location", "content": {"latitude": 91}`, false, false},
		{`"kind": "Location", "content": {"latitude": 9}`, true, true},
		{`"kind": "location", "content": {"latitude": "${inputs.lat}"}`, false, true},
		{`"id": 0`, false, false},
		{`"id": "${1}"`, false, true},
		{`"id": "1"`, false, false},
		{`"wait": "1h30m"`, true, true},
		{`"wait": "soon"`, false, false},
		{`"wait": "${inputs.wait}"`, false, true},
		{`"tags": ["a", "b"]`, true, true},
		{`"tags": []`, false, false},
		{`"tags": ["A"]`, false, false},
		{`"tags": ["${inputs.tag}"]`, false, true},
		{`"tags": "${inputs.tags}"`, false, true},
		{`"labels": {"a": 1}`, false, true}, // YAML: the text of an unquoted number
		{`"labels": {"a": []}`, false, false},
		{`"nested": [{"name": "x"}]`, true, true},
		{`"nested": [{}]`, false, false},
		{`"urgent": "yes"`, false, false},
		{`"extra": [1, {"a": null}]`, true, true},
	} {
		var value map[string]any
		require.NoError(t, json.Unmarshal([]byte("{"+tt.fields+"}"), &value))
		for name, v := range with() {
			if _, set := value[name]; !set {
				value[name] = v
			}
		}
		text, err := json.Marshal(value)
		require.NoError(t, err)
		assert.Equal(t, tt.plain, valid(t, plain, string(text)), "plain: %s", text)
		assert.Equal(t, tt.expressions, valid(t, authoring, string(text)), "with expressions: %s", text)
		if !strings.Contains(tt.fields, "${") {
			_, found := messageType.Coerce(value)
			assert.Equal(t, tt.plain, found.Err() == nil, "Coerce: %s", text)
		}
	}
	assert.False(t, valid(t, plain, `{"kind": "text"}`))
	assert.True(t, valid(t, authoring, `"${inputs.all}"`))
}

func TestJSONSchemaIsStable(t *testing.T) {
	first, err := json.Marshal(messageType.JSONSchema(true))
	require.NoError(t, err)
	for range 20 {
		again, err := json.Marshal(messageType.JSONSchema(true))
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
	assert.Contains(t, string(first), `"wait":{"anyOf":[{"pattern":"^(\\d+(\\.\\d+)?(d|h|m|s|ms|us|ns))+$"},{"pattern":"\\$\\{","type":"string"}],"default":"1m30s","type":"string"}`)
	assert.Contains(t, string(first), `"description":"who gets it"`)
}

func TestSchemaWriterSharesObjects(t *testing.T) {
	typ := schema.Of[struct {
		One  nested   `json:"one" doc:"the first"`
		Many []nested `json:"many"`
	}]()
	document := typ.JSONSchema(false)
	assert.Equal(t, map[string]any{"$ref": "#/$defs/one", "description": "the first"}, document["properties"].(map[string]any)["one"])
	assert.Len(t, document["$defs"], 1)
	compiled := compile(t, document)
	assert.True(t, valid(t, compiled, `{"one": {"name": "x"}, "many": [{"name": "y"}]}`))
	assert.False(t, valid(t, compiled, `{"many": [{}]}`))

	w := schema.NewSchemaWriter(true, typ, messageType)
	both := map[string]any{"anyOf": []any{w.Write(typ), w.Write(messageType)}, "$defs": w.Defs}
	assert.True(t, valid(t, compile(t, both), `{"one": {"name": "x"}}`))
}
