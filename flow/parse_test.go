package flow_test

import (
	"os"
	"path/filepath"
	"testing"

	"facteur/flow"

	"github.com/stretchr/testify/require"
)

const corpus = "../testdata/flows"

func files(t testing.TB, kind string) []string {
	paths, err := filepath.Glob(filepath.Join(corpus, kind, "*.flow.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return paths
}

func load(t testing.TB, path string) []byte {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}

func TestGood(t *testing.T) {
	for _, path := range files(t, "good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, diags := flow.Parse(path, load(t, path))
			require.Empty(t, diags)
			require.NotNil(t, f)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := load(b, filepath.Join(corpus, "good/quickstart.flow.yaml"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		f, diags := flow.Parse("order_shipped.flow.yaml", text)
		if f == nil || diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}
