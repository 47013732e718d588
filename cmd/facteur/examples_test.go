package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/project"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write generated files anew")

// The flow tests of the examples pass and cover every step and branch.
func TestExamples(t *testing.T) {
	code, stdout, stderr := facteur(t, "../..", "", "test", "examples", "--coverage", "--coverage-min", "100")
	assert.Equal(t, 0, code, stdout+stderr)
	code, _, stderr = facteur(t, ".", "", "validate", "examples")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stderr, "no problems")
}

// examples/schemas holds what `facteur schema` prints; -update writes it.
func TestSchemasAreUpToDate(t *testing.T) {
	for _, name := range schemaNames {
		text, err := schemaOf(name)
		require.NoError(t, err)
		file := filepath.Join("../../examples/schemas", name+".json")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, text, 0o644))
		}
		have, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(text, have), "%s is out of date: go test ./cmd/facteur -run Schemas -update", file)
	}
}

// Every example names the schema of its kind in its first line, and fits it.
func TestExamplesFitTheirSchemas(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range schemaNames {
		text, err := schemaOf(name)
		require.NoError(t, err)
		decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource(name+".json", decoded))
		schemas[name], err = c.Compile(name + ".json")
		require.NoError(t, err)
	}
	n := 0
	files, err := walk("../../examples", isOurs)
	require.NoError(t, err)
	for _, file := range files {
		kind := "project"
		switch {
		case strings.HasSuffix(file, project.FlowSuffix):
			kind = "flow"
		case strings.HasSuffix(file, project.TestSuffix):
			kind = "test"
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(text), "\n")
		named, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if assert.True(t, ok, "%s names no schema", file) {
			assert.FileExists(t, filepath.Join(filepath.Dir(file), named))
			assert.Equal(t, kind+".json", filepath.Base(named), file)
		}
		node, diags := flow.ParseValue(file, text)
		require.False(t, diags.HasErrors(), diags)
		value := jsonOf(node)
		assert.NoError(t, schemas[kind].Validate(value), file)
		n++
	}
	assert.Greater(t, n, 10)
}

// jsonOf gives a YAML value as an editor's schema check sees it.
func jsonOf(n *flow.Node) any {
	switch n.Kind {
	case flow.ListNode:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = jsonOf(item)
		}
		return list
	case flow.MapNode:
		object := map[string]any{}
		for _, e := range n.Entries {
			object[e.Key.Value] = jsonOf(e.Value)
		}
		return object
	}
	return n.Value
}
