package flow_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/diag"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite what the broken flows of the corpus expect")

// wantLines are the lines at the top of a broken flow, one for each expected diagnostic.
var wantLines = regexp.MustCompile(`\A(?:# want [^\n]*\n)*`)

func describe(d diag.Diagnostic) string {
	at := d.Range.Pos()
	line := fmt.Sprintf("# want %d:%d %s: %s", at.Line, at.Col, d.Code, d.Message)
	if d.Hint != "" {
		line += " | " + d.Hint
	}
	return line + "\n"
}

func TestBad(t *testing.T) {
	for _, path := range files(t, "bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text := load(t, path)
			header := wantLines.Find(text)
			if *update {
				body := text[len(header):]
				for range 3 { // the lines move with the number of expectations
					header = nil
					_, diags := flow.Parse(path, text)
					for _, d := range diags {
						header = append(header, describe(d)...)
					}
					text = append(slices.Clip(header), body...)
				}
				require.NoError(t, os.WriteFile(path, text, 0o666))
			}
			var got strings.Builder
			_, diags := flow.Parse(path, text)
			for _, d := range diags {
				got.WriteString(describe(d))
				checkRange(t, d, text)
			}
			assert.Equal(t, string(header), got.String())
		})
	}
}

func checkRange(t testing.TB, d diag.Diagnostic, text []byte) {
	r := d.Range
	require.NotNil(t, r.Source, d.Message)
	assert.LessOrEqual(t, 0, r.Start, d.Message)
	assert.LessOrEqual(t, r.Start, r.End, d.Message)
	assert.LessOrEqual(t, r.End, len(text), d.Message)
	assert.NotEmpty(t, d.Code)
	assert.NotEmpty(t, d.Message)
}

func TestTooLarge(t *testing.T) {
	f, diags := flow.Parse("f", []byte(strings.Repeat("#\n", 1<<19+1)))
	assert.Nil(t, f)
	require.Len(t, diags, 1)
	assert.Equal(t, "f:1:1: error: the file has 1048578 bytes, at most 1048576 are allowed [too-large]", diags[0].Error())
}

func TestEveryCodeIsExplainedAndRaised(t *testing.T) {
	raised := map[string]bool{"too-large": true} // no file of the corpus is that large
	for _, path := range files(t, "bad") {
		_, diags := flow.Parse(path, load(t, path))
		for _, d := range diags {
			raised[d.Code] = true
			text, ok := flow.Codes.Explain(d.Code)
			assert.True(t, ok, "%s is not explained", d.Code)
			assert.NotEmpty(t, text)
		}
	}
	for _, c := range flow.Codes {
		assert.True(t, raised[c.Code], "no file of the corpus raises %s", c.Code)
	}
}
