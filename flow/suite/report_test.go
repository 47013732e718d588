package suite_test

import (
	"encoding/xml"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/flow/suite"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReports writes the same reports in every format.
func TestReports(t *testing.T) {
	golden(t, "report", func(t *testing.T, files []txtar.File) string {
		rs := reports(t, files)
		for _, r := range rs {
			for _, c := range r.Cases {
				assert.Positive(t, c.Took, c.Name)
				c.Took = 1250 * time.Microsecond
			}
		}
		var b strings.Builder
		require.NoError(t, rs.Text(&b, suite.TextOptions{}))
		b.WriteString("\n")
		var colored strings.Builder
		require.NoError(t, rs.Text(&colored, suite.TextOptions{Color: true}))
		b.WriteString(strings.ReplaceAll(colored.String(), "\x1b", "␛"))
		b.WriteString("\n")
		require.NoError(t, rs.JSON(&b))
		b.WriteString("\n")
		var junit strings.Builder
		require.NoError(t, rs.JUnit(&junit))
		require.NoError(t, xml.Unmarshal([]byte(junit.String()), new(struct {
			XMLName xml.Name `xml:"testsuites"`
		})))
		b.WriteString(junit.String())
		assert.False(t, rs.Passed())
		for _, pin := range []string{"8642975", "ODY0Mjk3NQ"} {
			assert.NotContains(t, b.String(), pin)
		}
		return b.String()
	})
}

func TestNoReports(t *testing.T) {
	var b strings.Builder
	require.NoError(t, suite.Reports(nil).Text(&b, suite.TextOptions{}))
	assert.Equal(t, "0 cases: 0 passed, 0 failed\n", b.String())
	assert.InDelta(t, 100, suite.Reports(nil).Coverage().Total.Percent(), 0)
	assert.True(t, suite.Reports(nil).Passed())
}

// Control characters in names neither reach a terminal nor break the XML.
func TestControlCharacters(t *testing.T) {
	rs := suite.Reports{{File: "a\x1b[31m.test.yaml", Cases: []*suite.CaseReport{{Name: "x\x00\x1b", Failures: []suite.Failure{{Message: "m\x07\n"}}}}}}
	var text, junit strings.Builder
	require.NoError(t, rs.Text(&text, suite.TextOptions{}))
	assert.NotContains(t, text.String(), "\x1b")
	require.NoError(t, rs.JUnit(&junit))
	assert.NotContains(t, junit.String(), "\x1b")
}

// Coverage includes flows without a test.
func TestCoverageOfFurtherFlows(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "loops.txtar"))
	require.NoError(t, err)
	lib := library(t, archive.Files)
	b, diags := plan.Compile(lib.Flow("b"), lib)
	require.NoError(t, diags.Err())
	c := suite.Reports(nil).Coverage(b)
	require.Len(t, c.Flows, 1)
	assert.Equal(t, suite.CoverageCounts{Steps: 3, Branches: 2}, c.Total)
	assert.Zero(t, c.Total.Percent())
	missed := make([]string, len(c.Flows[0].Missed))
	for i, m := range c.Flows[0].Missed {
		missed[i] = m.String()
	}
	assert.Equal(t, []string{
		"step steps[0]", "step steps[0]: case 0", "step steps[0]: default", "step deep", "step steps[0].default.steps[0]",
	}, missed)
}

// fixedAnswer is a transport with the same answer for every request.
type fixedAnswer struct{ answer string }

func (s fixedAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	exchanges, diags := record.Parse("server.yaml", []byte("exchanges:\n  - request: {path: /letters, json: {$any: true}}\n    response: {json: {id: "+s.answer+"}}\n"))
	if err := diags.Err(); err != nil {
		return nil, err
	}
	return record.NewPlayer(exchanges, record.PlayerOptions{}).RoundTrip(req)
}

// A recording of a server passes when it is replayed.
func TestRecord(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.test.yaml")
	text := `
flow: a
cases:
  - name: recorded
    inputs: {to: "+33612345678"}
    connections: {letters: {token: secret-token-1234}}
    recording: recordings/accepted.yaml
    expect: {outputs: {id: L9}}
  - name: has no file
    inputs: {to: "+33612345678"}
    exchanges: []
`
	archive, err := txtar.ParseFile(filepath.Join(corpus, "run", "exchanges.txtar"))
	require.NoError(t, err)
	f, diags := suite.Load(name, []byte(text), library(t, archive.Files))
	require.NoError(t, diags.Err())
	require.NoError(t, os.Mkdir(filepath.Join(dir, "recordings"), 0o755))

	o := suite.Options{Do: do, Record: fixedAnswer{"L9"}, Scrub: record.NewScrubber("secret-token-1234").Scrub}
	r := suite.Run(t.Context(), f, o)
	require.Len(t, r.Cases, 2)
	assert.Empty(t, r.Cases[0].Failures)
	assert.Contains(t, r.Cases[1].Failures[0].Message, "recording: FILE")

	written, err := os.ReadFile(filepath.Join(dir, "recordings", "accepted.yaml"))
	require.NoError(t, err)
	assert.NotContains(t, string(written), "secret-token-1234")
	assert.NotContains(t, string(written), "f1.test.", "the call's key is volatile")
	assert.Contains(t, string(written), "step: notify")

	r = suite.Run(t.Context(), f, suite.Options{Do: do})
	assert.Empty(t, r.Cases[0].Failures)
}

// Every explained code is reported.
func TestCodes(t *testing.T) {
	found, err := os.ReadFile(filepath.Join(corpus, "load", "mistakes.txtar"))
	require.NoError(t, err)
	for _, code := range suite.Codes.Codes() {
		if code != "broken-flow" {
			assert.Contains(t, string(found), "["+code+"]", "no test shows it")
		}
	}
}
