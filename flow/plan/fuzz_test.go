package plan_test

import (
	"os"
	"path/filepath"
	"testing"

	"facteur/flow"
	"facteur/flow/plan"

	"github.com/stretchr/testify/require"
)

// Any file is compiled or refused, with the same result each time.
func FuzzCompile(f *testing.F) {
	for _, pattern := range []string{corpus + "/*/*.flow.yaml", "../../testdata/flows/*/*.flow.yaml"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(text)
		}
	}
	lib := open(f).library()
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, diags := flow.Parse("f", text)
		if parsed == nil {
			require.True(t, diags.HasErrors())
			return
		}
		first, found := plan.Compile(parsed, lib)
		require.Equal(t, found.HasErrors(), first == nil)
		for _, d := range found {
			require.NotEmpty(t, d.Code)
			require.NotNil(t, d.Range.Source, d.Message)
			require.LessOrEqual(t, d.Range.End, len(d.Range.Source.Text))
		}
		again, same := plan.Compile(parsed, lib)
		require.Equal(t, found, same)
		if first != nil {
			require.Equal(t, first.Digest, again.Digest)
			require.NotPanics(t, func() { first.CoveragePoints() })
		}
	})
}
