package flow_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/flow"

	"github.com/stretchr/testify/assert"
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

// A daemon may be sent texts that nobody writes by hand. Each has to be refused in bounded
// time.
func TestHostileTexts(t *testing.T) {
	const size = 1 << 18
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"open brackets":        fill("["),
		"open braces in keys":  fill("{a: "),
		"dashes":               fill("- "),
		"keys in a line":       fill("a: "),
		"quotes":               fill("\"\n"),
		"comments":             "a:\n" + fill(" # x\n"),
		"a long list":          "[" + fill("é,") + "x]",
		"duplicates":           "{" + fill("a,") + "a}",
		"tags":                 "[" + fill("!a,") + "x]",
		"aliases":              "a: &a x\nb: [" + fill("*a,") + "x]",
		"anchors":              "[" + fill("&a x,") + "x]",
		"expressions":          "{a: [" + fill("${a},") + "x]}",
		"unclosed expressions": "{a: " + fill("${") + "}",
		"conditions":           fill("if: !a\n"),
		"blocks":               fill("a: |\n"),
		"documents":            fill("---\n"),
		"control characters":   fill("\x01"),
		"steps":                "flow: f\nsteps:\n" + fill("- wait: 1s\n"),
		"steps that do naught": "flow: f\nsteps:\n" + fill("- wiat: 1s\n"),
		"ever deeper":          "a: " + strings.Repeat("{a: ", 9999) + "1" + strings.Repeat("}", 9999),
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := flow.Parse("f", []byte(text))
			assert.True(t, diags.HasErrors())
			assert.LessOrEqual(t, len(diags), 200)
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

// Valid parts before a mistake are not reported because of it.
func TestOneMistakeIsOneError(t *testing.T) {
	paths := files(t, "good")
	for _, pattern := range []string{"../examples/*/*.yaml", "../examples/*/flows/*.yaml"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		paths = append(paths, more...)
	}
	for _, path := range paths {
		text := append(slices.Clip(load(t, path)), "\nzz: \"unclosed\n"...)
		_, diags := flow.ParseValue(path, text)
		require.Len(t, diags, 1, "%s: %v", path, diags)
		assert.Equal(t, "unclosed-quote", diags[0].Code, path)
	}
}
