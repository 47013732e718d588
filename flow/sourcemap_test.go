package flow_test

import (
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/diag"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eachText calls visit for every key and scalar below n.
func eachText(n *flow.Node, visit func(diag.Text)) {
	for _, item := range n.Items {
		eachText(item, visit)
	}
	for _, e := range n.Entries {
		visit(e.Key)
		eachText(e.Value, visit)
	}
	if n.Kind != flow.ListNode && n.Kind != flow.MapNode {
		visit(n.Text)
	}
}

// isPlaced reports whether every byte of the text is where its range says, except for escapes
// and folded line breaks.
func isPlaced(text diag.Text, source string) (ok bool, at int) {
	for i := range len(text.Value) {
		r := text.Range(i, i+1)
		if r.End != r.Start+1 || r.Start < text.Whole.Start || r.End > text.Whole.End && text.Value[i] != '\n' {
			return false, i
		}
		c, want := source[r.Start], text.Value[i]
		quote := source[text.Whole.Start]
		escaped := quote == '"' && strings.LastIndexByte(source[max(0, r.Start-9):r.Start+1], '\\') >= 0
		folded := want == ' ' && strings.IndexByte(" \t\r\n", c) >= 0
		if c != want && !escaped && !folded {
			return false, i
		}
	}
	return true, 0
}

func TestEveryByteIsMapped(t *testing.T) {
	for _, path := range files(t, "good") {
		text := load(t, path)
		root, diags := flow.ParseValue(path, text)
		require.Empty(t, diags)
		count := 0
		eachText(root, func(text diag.Text) {
			count++
			ok, at := isPlaced(text, string(text.Whole.Source.Text))
			assert.True(t, ok, "%s: byte %d of %q", text.Whole.Pos(), at, text.Value)
		})
		assert.Positive(t, count)
	}
}

func TestRangesInsideScalars(t *testing.T) {
	for name, tt := range map[string]struct{ source, find, at string }{
		"plain":         {"k: a ${x}", "x", "1:8"},
		"plain lines":   {"k: a\n  b\n  ${x}", "x", "3:5"},
		"after BOM":     {"\xef\xbb\xbfk: ${x}", "x", "1:6"},
		"after wide":    {"k: é😀 ${x}", "x", "1:9"},
		"single":        {"k: 'it''s ${x}'", "x", "1:13"},
		"double":        {`k: "\té\u00e9 ${x}"`, "x", "1:17"},
		"double escape": {`k: "a\x78"`, "x", "1:6"},
		"literal":       {"k: |\n   a\n   ${x}\n", "x", "3:6"},
		"literal CRLF":  {"k: |\r\n   a\r\n   ${x}\r\n", "x", "3:6"},
		"folded":        {"k: >-\n   a\n   b ${x}\n", "x", "3:8"},
		"flow":          {"k: [a, {b: \"${x}\"}]", "x", "1:15"},
		"key":           {"a: 1\nbx: 2", "x", "2:2"},
	} {
		t.Run(name, func(t *testing.T) {
			root, diags := flow.ParseValue("f", []byte(tt.source))
			require.Empty(t, diags)
			found := ""
			eachText(root, func(text diag.Text) {
				if i := strings.Index(text.Value, tt.find); i >= 0 {
					d := diag.Diagnostic{Range: text.Range(i, i+1)}
					found = strings.TrimPrefix(strings.TrimSuffix(d.Error(), ": error: "), "f:")
				}
			})
			assert.Equal(t, tt.at, found)
		})
	}
}
