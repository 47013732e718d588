package flow_test

import (
	"testing"

	"facteur/flow"
	"facteur/flow/diag"

	"github.com/stretchr/testify/assert"
)

func FuzzParse(f *testing.F) {
	for _, kind := range []string{"good", "bad"} {
		for _, path := range files(f, kind) {
			f.Add(load(f, path))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, diags := flow.Parse("f", text)
		assert.True(t, parsed != nil || diags.HasErrors())
		for _, d := range diags {
			checkRange(t, d, text)
			_, ok := flow.Codes.Explain(d.Code)
			assert.True(t, ok, d.Code)
		}
		_, again := flow.Parse("f", text)
		assert.Len(t, again, len(diags))

		root, diags := flow.ParseValue("f", text)
		assert.True(t, root != nil || diags.HasErrors())
		if root == nil || diags.HasErrors() {
			return // an alias bomb has too many texts
		}
		eachText(root, func(text diag.Text) {
			if text.Value == "" || text.Range(0, 1) == text.Whole {
				return // known as a whole only
			}
			ok, at := isPlaced(text, string(text.Whole.Source.Text))
			assert.True(t, ok, "byte %d of %q", at, text.Value)
		})
	})
}
