package plan_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"facteur/flow"
	"facteur/flow/plan"

	"github.com/stretchr/testify/require"
)

func BenchmarkCompile(b *testing.B) {
	for _, name := range []string{"quickstart", "guards", "ways"} {
		b.Run(name, func(b *testing.B) {
			f, diags := flow.Parse(name, source(b, name))
			require.Empty(b, diags)
			lib := plan.Library{Catalog: catalog()}
			b.ReportAllocs()
			for b.Loop() {
				if p, diags := plan.Compile(f, lib); p == nil {
					b.Fatal(diags)
				}
			}
		})
	}
}

func source(t testing.TB, name string) []byte {
	text, err := os.ReadFile(filepath.Join(corpus, "good", name+".flow.yaml"))
	require.NoError(t, err)
	return text
}

// BenchmarkThousandFlows is what `facteur validate` does with a project of 1,000 flows,
// without reading files.
func BenchmarkThousandFlows(b *testing.B) {
	text := source(b, "quickstart")
	texts := make([][]byte, 1000)
	for i := range texts {
		texts[i] = bytes.Replace(text, []byte("good_quickstart"), fmt.Appendf(nil, "flow_%d", i), 1)
	}
	parse := func(b *testing.B, i int) *flow.Flow {
		f, diags := flow.Parse("order_shipped.flow.yaml", texts[i])
		if len(diags) > 0 {
			b.Fatal(diags)
		}
		return f
	}
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range texts {
				parse(b, i)
			}
		}
	})
	b.Run("parse and compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := plan.NewCompiler(plan.Library{Catalog: catalog()})
			for i := range texts {
				if p, diags := c.Compile(parse(b, i)); p == nil {
					b.Fatal(diags)
				}
			}
		}
	})
}
