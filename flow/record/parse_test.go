package record_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/record"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadRecordings(t *testing.T) {
	golden(t, "bad", func(t *testing.T, parts []txtar.File) string {
		_, diags := record.Parse(parts[0].Name, parts[0].Data)
		require.True(t, diags.HasErrors())
		var out strings.Builder
		require.NoError(t, diag.Printer{W: &out}.Print(diags))
		return out.String()
	})
}

func TestLargeHARFile(t *testing.T) {
	text := `{"log": {"creator": {}, "entries": ["` + strings.Repeat("x", 2<<20) + `"]}}`
	_, diags := record.Parse("shop.har", []byte(text))
	require.Len(t, diags, 1)
	assert.Equal(t, "shop.har:1:1: error: this is not a Facteur recording, but a HAR file [not-a-recording]", diags[0].Error())
}

func TestParse(t *testing.T) {
	exchanges := parse(t, `exchanges:
  - step: notify
    request: {path: /v23.0/1/messages, json: {to: a}}
    response: {status: 429, headers: {retry-after: 3}, json: {error: {code: 4, big: 1.5}}, delay: 1m30s}
  - request: same
    response: {lost: timeout, delay: 2s}
  - request: {url: "https://Api.Shop.test:8443?b=2&a=1", method: delete}
    response: {}
`)
	require.Len(t, exchanges, 3)
	first := exchanges[0]
	assert.Equal(t, "notify", first.Step)
	assert.Equal(t, "POST", first.Request.Method)
	assert.Equal(t, 2, first.Range.Pos().Line)
	assert.Equal(t, 429, first.Response.Status)
	assert.Equal(t, map[string]string{"Retry-After": "3"}, first.Response.Headers)
	assert.Equal(t, 90*time.Second, first.Response.Delay)
	assert.Equal(t, map[string]any{"error": map[string]any{"code": int64(4), "big": 1.5}}, first.Response.JSON)
	assert.Equal(t, first.Request, exchanges[1].Request)
	assert.Equal(t, record.LostTimeout, exchanges[1].Response.Lost)
	assert.Equal(t, 2*time.Second, exchanges[1].Response.Delay)
	third := exchanges[2].Request
	assert.Equal(t, "https://api.shop.test:8443", third.Host)
	assert.Equal(t, "/", third.Path)
	assert.Equal(t, "DELETE", third.Method)
	assert.Equal(t, `{"a":"1","b":"2"}`, third.Query.String())
	assert.Equal(t, 200, exchanges[2].Response.Status)
}

func TestParseNode(t *testing.T) {
	n, diags := flow.ParseValue("a.test.yaml", []byte("cases:\n  - exchanges:\n      - {request: {path: /x}, response: {status: 200}}\n"))
	require.NoError(t, diags.Err())
	exchanges, diags := record.ParseNode(n.Get("cases").Items[0].Get("exchanges"))
	require.NoError(t, diags.Err())
	require.Len(t, exchanges, 1)
	assert.Equal(t, 3, exchanges[0].Range.Pos().Line)

	exchanges, diags = record.ParseNode(nil)
	assert.Empty(t, exchanges)
	assert.Empty(t, diags)
}

func TestCEL(t *testing.T) {
	const recording = `exchanges:
  - {request: {path: /x, json: {n: {$cel: "value > 3 && value < 5.5"}, t: {$cel: value.startsWith("a")}}, query: {q: {$cel: 'int(value) == 12'}}}, response: {status: 204}}
`
	player := record.NewPlayer(parse(t, recording), record.PlayerOptions{})
	_, err := player.RoundTrip(send(t, "POST https://api.shop.test/x?q=13", `{"n": 3, "t": 7}`))
	var mismatch *record.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Len(t, mismatch.Differences, 3)
	assert.Equal(t, `query.q: recorded {$cel: "int(value) == 12"}, sent "13"`, mismatch.Differences[0].String())
	assert.Equal(t, `json.n: recorded {$cel: "value > 3 && value < 5.5"}, sent 3`, mismatch.Differences[1].String())
	assert.Regexp(t, `^json\.t: recorded \{\$cel: "value.startsWith\(\\"a\\"\)"\} \(.+\), sent 7$`, mismatch.Differences[2].String())
	_, err = player.RoundTrip(send(t, "POST https://api.shop.test/x?q=12", `{"n": 4, "t": "abc"}`))
	require.NoError(t, err)

	_, diags := record.Parse("r.yaml", []byte(`exchanges: [{request: {path: /x, json: {n: {$cel: "valu > 3"}}}, response: {status: 204}}]`))
	require.Error(t, diags.Err())
	at := diags[0].Range.Pos()
	assert.Equal(t, diag.Pos{Line: 1, Col: 52}, at, diags[0].Message)
	_, diags = record.Parse("r.yaml", []byte(`exchanges: [{request: {path: /x, json: {n: {$cel: "1 + 2"}}}, response: {status: 204}}]`))
	require.Error(t, diags.Err(), "not a boolean")
}

// Every code in the sources is explained, and every explained code is used.
func TestCodes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var used []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?:Errorf|Warnf)\("([a-z-]+)"`).FindAllStringSubmatch(string(data), -1) {
			used = append(used, m[1])
		}
	}
	slices.Sort(used)
	assert.ElementsMatch(t, slices.Compact(used), record.Codes.Codes())
}

// TestCompare: a plain value is compared in its JSON form.
func TestCompare(t *testing.T) {
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	value := map[string]any{"n": int64(3), "half": 0.5, "large": 1e6, "at": at, "took": 90 * time.Second, "list": []any{nil, "x"}}
	for matcher, want := range map[string][]string{
		`{n: 3.0, half: 0.5, large: 1000000, at: "2026-01-02T03:04:05Z", took: 1m30s, list: [null, x]}`: nil,
		`{$cel: 'value.n + 1 == 4 && value.half < 1.0'}`:                                                nil,
		`{n: {$any: true}, list: [{$any: true}, {$regex: "^y"}], $more: true}`:                          {`json.list[1]: recorded {$regex: "^y"}, sent "x"`},
		`{large: 1.5, more: 1, $more: true}`:                                                            {`json.large: recorded 1.5, sent 1000000`, `json.more: recorded 1, not sent`},
		`x`:                                                                                             {`json: recorded "x", sent {"at":"2026-01-02T03:04:05Z","half":0.5,"large":1000000,"list":[null,"x"],"n":3,"took":"1m30s"}`},
	} {
		n, diags := flow.ParseValue("m.yaml", []byte(matcher))
		require.NoError(t, diags.Err())
		m, diags := record.ParseMatcher(n)
		require.NoError(t, diags.Err())
		var got []string
		for _, d := range record.Compare(m, value) {
			got = append(got, d.String())
		}
		assert.Equal(t, want, got, matcher)
	}
}

// Parsing any file ends without a panic, every diagnostic has a position and a known code, and
// parsed exchanges can be replayed.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"match", "bad"} {
		files, err := filepath.Glob(filepath.Join(corpus, folder, "*.txtar"))
		require.NoError(f, err)
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			require.NoError(f, err)
			f.Add(archive.Files[0].Data)
		}
	}
	f.Add([]byte("exchanges:\n  - {request: {path: /x, json: {$cel: value == 1}}, response: {json: {a: 1}, truncated: true}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		exchanges, diags := record.Parse("r.yaml", text)
		for _, d := range diags {
			if d.Range.Source == nil || d.Message == "" || d.Code == "" {
				t.Fatalf("poor diagnostic %+v", d)
			}
		}
		player := record.NewPlayer(exchanges, record.PlayerOptions{})
		for _, x := range exchanges {
			req, err := http.NewRequest("POST", "https://api.shop.test/x?a=1", strings.NewReader(`{"a":[1,{"b":"c"}],"n":1.5}`))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			resp, err := player.RoundTrip(req.WithContext(record.WithInfo(t.Context(), record.Info{Step: x.Step})))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			_ = fmt.Sprint(err)
		}
	})
}
