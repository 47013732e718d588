package record_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/flow/record"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A roundTripFunc is a transport.
type roundTripFunc func(req *http.Request) (*http.Response, error)

func (w roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return w(req) }

func answer(status int, media, body string) roundTripFunc {
	return func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return nil, err
			}
		}
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	}
}

func written(t testing.TB, r *record.Recorder) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, r.Write(&out))
	return out.String()
}

const token = `EAAG-test/token+with="quotes"&é`

func TestRecording(t *testing.T) {
	tries := 0
	rec := record.NewRecorder(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if tries++; tries == 1 {
			resp, err := answer(400, "application/json; charset=UTF-8", `{"error":{"message":"(#130429) Rate limit hit","code":130429,"error_data":{}}}`)(req)
			resp.Header.Set("Retry-After", "3")
			resp.Header.Set("Set-Cookie", "session=0123456789abcdef; Path=/")
			resp.Header.Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
			return resp, err
		}
		if req.Method == "GET" {
			return answer(502, "text/html", "<h1>Bad gateway</h1>\n<p>0123456789abcdef</p>")(req)
		}
		return answer(200, "text/javascript", `{"messages":[{"id":"wamid.TEST"}],"echo":"yes","n":[1,2.50,-3e2],"none":null}`)(req)
	}), nil)
	post := func(attempt int) {
		line := fmt.Sprintf("POST https://graph.facebook.com/v23.0/106/messages step=notify attempt=%d volatile=biz_opaque_callback_data header:Authorization=Bearer+%s", attempt, url.QueryEscape(token))
		resp, err := rec.RoundTrip(send(t, line, fmt.Sprintf(`{"to":"+33612345678","biz_opaque_callback_data":"f1.r.%d","text":{"body":"costs $5: ${x} #1","$any":1},"ok":true,"list":[]}`, attempt)))
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
	}
	post(1)
	post(2)
	resp, err := rec.RoundTrip(send(t, "GET https://api.shop.test/orders?id=7&tag=b&tag=a&access_token=abc step=look", ""))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	text := written(t, rec)
	assert.Equal(t, `# A recording of HTTP exchanges, for flow tests. Secrets were taken out.
exchanges:
  - step: notify
    request:
      method: POST
      path: /v23.0/106/messages
      json:
        to: "+33612345678"
        text:
          body: "costs $5: ${x} #1"
          "$$any": 1
        ok: true
        list: []
    response:
      status: 400
      headers:
        Retry-After: "3"
      json:
        error:
          message: "(#130429) Rate limit hit"
          code: 130429
          error_data: {}
  - step: notify
    request: same
    response:
      status: 200
      headers:
        Content-Type: text/javascript
      json:
        messages:
          - id: wamid.TEST
        echo: "yes"
        "n":
          - 1
          - 2.50
          - -3e2
        none: null
  - step: look
    request:
      method: GET
      url: "https://api.shop.test/orders"
      query:
        access_token: {$any: true}
        id: "7"
        tag:
          - b
          - a
    response:
      status: 502
      html: "<h1>Bad gateway</h1>\n<p>[secret]</p>"
`, text)
	assert.Equal(t, text, written(t, rec), "the same exchanges give the same text")
}

func TestRecordingLostAnswers(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"timeout", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "lost: timeout"},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, "lost: reset"},
		{"closed", io.EOF, "lost: reset"},
		{"never sent", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "exchanges: []"},
		{"something else", errors.New("no such host"), "exchanges: []"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := record.NewRecorder(roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, tt.err }), nil)
			_, err := rec.RoundTrip(send(t, "GET https://api.shop.test/x", ""))
			require.ErrorIs(t, err, tt.err)
			assert.Contains(t, written(t, rec), tt.want)
		})
	}
}

// Delays are recorded with a virtual clock.
func TestRecordingHowLongAnAnswerTook(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rec := record.NewRecorder(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		now = now.Add(1500 * time.Millisecond)
		return answer(200, "application/json", "{}")(req)
	}), nil)
	rec.Now = func() time.Time { return now }
	_, err := rec.RoundTrip(send(t, "GET https://api.shop.test/slow", ""))
	require.NoError(t, err)
	assert.Contains(t, written(t, rec), "delay: 1s500ms")
}

func TestRecordingABrokenAnswer(t *testing.T) {
	rec := record.NewRecorder(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := answer(200, "application/json", "")(req)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"mess`), errReader{io.ErrUnexpectedEOF}))
		return resp, err
	}), nil)
	resp, err := rec.RoundTrip(send(t, "GET https://api.shop.test/x", ""))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, `{"mess`, string(body))
	assert.Contains(t, written(t, rec), "truncated: true")
}

type errReader struct{ err error }

func (f errReader) Read([]byte) (int, error) { return 0, f.err }

func TestRecordingRefusesWhatItCannotHold(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
	}{
		{"large", strings.Repeat("x", 1<<20+1), "the answer to GET /x is over 1 MiB"},
		{"binary", "\xff\xd8\xff", "the answer to GET /x is not text"},
		{"together too large", strings.Repeat("é", 600_000), "over 1 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := record.NewRecorder(answer(200, "text/plain", tt.body), nil)
			resp, err := rec.RoundTrip(send(t, "GET https://api.shop.test/x", ""))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, tt.body, string(body), "the caller gets it whole")
			var out bytes.Buffer
			assert.ErrorContains(t, rec.Write(&out), tt.want)
			assert.Zero(t, out.Len())
		})
	}
}

func TestRecordingRefusesASecretItStillHolds(t *testing.T) {
	// A scrubber that only sees whole texts: what it misses in the parts, it finds at
	// the end.
	scrub := func(text []byte) []byte {
		return bytes.ReplaceAll(text, []byte("exchanges:\n  - request"), []byte("[secret]"))
	}
	rec := record.NewRecorder(answer(200, "text/plain", "fine"), scrub)
	_, err := rec.RoundTrip(send(t, "GET https://api.shop.test/x", ""))
	require.NoError(t, err)
	var out bytes.Buffer
	assert.EqualError(t, rec.Write(&out), "recording not written: its line 2 would contain a secret")
	assert.Zero(t, out.Len())

	name := filepath.Join(t.TempDir(), "r.yaml")
	require.NoError(t, os.WriteFile(name, []byte("before"), 0o600))
	require.ErrorContains(t, rec.WriteFile(name), "would contain")
	kept, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "before", string(kept))
}

func TestWriteFile(t *testing.T) {
	rec := record.NewRecorder(answer(200, "text/plain", "fine"), nil)
	_, err := rec.RoundTrip(send(t, "GET https://api.shop.test/x", ""))
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, rec.WriteFile(filepath.Join(folder, "r.yaml")))
	data, err := os.ReadFile(filepath.Join(folder, "r.yaml"))
	require.NoError(t, err)
	assert.Equal(t, written(t, rec), string(data))
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
	assert.NoError(t, rec.WriteFile(filepath.Join(folder, "new", "r.yaml")), "the folder is made")
	assert.Error(t, rec.WriteFile(filepath.Join(folder, "r.yaml", "r.yaml")), "a file is none")
}

// encodings are the forms in which a secret may occur.
func encodings(secret string) map[string]string {
	quoted, _ := json.Marshal(secret)
	twice, _ := json.Marshal(string(quoted))
	m := map[string]string{
		"plain":       secret,
		"query":       url.QueryEscape(secret),
		"path":        url.PathEscape(secret),
		"lower query": lower(url.QueryEscape(secret)),
		"json":        string(quoted[1 : len(quoted)-1]),
		"json twice":  string(twice[3 : len(twice)-3]),
		"hex":         hex.EncodeToString([]byte(secret)),
		"HEX":         strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	for shift := range 3 {
		plain := "abc"[:shift] + secret + "tail"
		m[fmt.Sprint("base64 std +", shift)] = base64.StdEncoding.EncodeToString([]byte(plain))
		m[fmt.Sprint("base64 url +", shift)] = base64.URLEncoding.EncodeToString([]byte(plain))
		m[fmt.Sprint("base64 in a query +", shift)] = url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(plain)))
	}
	return m
}

// lower writes the escapes of a URL in lower case.
func lower(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			b.WriteString(strings.ToLower(s[i : i+3]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// exposes reports the form in which the text shows the secret. It decodes what could be base64
// or hexadecimal, instead of searching for encoded forms.
func exposes(text, secret string) string {
	for name, form := range encodings(secret) {
		if !strings.HasPrefix(name, "base64") && strings.Contains(text, form) {
			return name
		}
	}
	words := strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+/-_", r))
	})
	for _, word := range words {
		word = strings.NewReplacer("-", "+", "_", "/").Replace(word)
		for shift := range min(4, len(word)) {
			part := word[shift:]
			if decoded, err := base64.RawStdEncoding.DecodeString(part[:len(part)/4*4]); err == nil && bytes.Contains(decoded, []byte(secret)) {
				return "base64"
			}
		}
	}
	return ""
}

func TestScrubber(t *testing.T) {
	for _, secret := range []string{token, "abcd", "0123456789", "s3cr3t/…\n", "😀 pass word", strings.Repeat("k", 300)} {
		s := record.NewScrubber("unrelated", secret)
		for name, form := range encodings(secret) {
			text := "before " + form + " after " + form
			got := string(s.Scrub([]byte(text)))
			assert.Empty(t, exposes(got, secret), "%s of %q: %q", name, secret, got)
			assert.True(t, strings.HasPrefix(got, "before ") && strings.Contains(got, "[secret]") && strings.Contains(got, " after "), "%s: %q", name, got)
		}
	}
	s := record.NewScrubber("", "abc")
	assert.Equal(t, "abc", string(s.Scrub([]byte("abc"))), "too short to be looked for")
}

func TestScrubberIsConcurrent(t *testing.T) {
	s := record.NewScrubber()
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			secret := fmt.Sprintf("secret-%d-secret", i)
			s.Add(secret)
			assert.Equal(t, "[secret]", string(s.Scrub([]byte(secret))))
		})
	}
	group.Wait()
}

// A recording can be parsed, replays the same responses, and shows no secret, wherever it
// occurred and in any form.
func TestRecordAndReplay(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		secret := randomText(rng, 8+rng.IntN(20))
		for len(secret) < 8 {
			secret += "x"
		}
		recordAndReplay(t, rng, secret)
		if t.Failed() {
			t.Fatalf("seed %d, secret %q", seed, secret)
		}
	}
}

func recordAndReplay(t *testing.T, rng *rand.Rand, secret string) {
	s := record.NewScrubber(secret)
	type pair struct {
		line, body, media, answer string
		status                    int
	}
	var forms []string
	for _, form := range encodings(secret) {
		forms = append(forms, form)
	}
	value := func() any { return randomValue(rng, 3, forms) }
	encode := func(v any) string {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		return string(data)
	}
	var pairs []pair
	for i := range 1 + rng.IntN(4) {
		p := pair{line: fmt.Sprintf("POST https://api.shop.test/x/%d?a=%s step=s%d", i, url.QueryEscape(randomText(rng, 5)), rng.IntN(2)), status: 200 + rng.IntN(300)}
		if rng.IntN(4) == 0 {
			p.line += " header:Authorization=" + url.QueryEscape("Bearer "+url.PathEscape(secret))
		}
		p.body = encode(map[string]any{"v": value(), "n": i})
		p.media, p.answer = "application/json", encode(map[string]any{"v": value()})
		if rng.IntN(3) == 0 {
			p.media, p.answer = "text/plain; charset=utf-8", randomText(rng, 40)
			if rng.IntN(2) == 0 {
				p.answer += forms[rng.IntN(len(forms))]
			}
		}
		pairs = append(pairs, p)
	}
	next := 0
	rec := record.NewRecorder(roundTripFunc(func(req *http.Request) (*http.Response, error) {
		p := pairs[next]
		next++
		return answer(p.status, p.media, p.answer)(req)
	}), s.Scrub)
	for _, p := range pairs {
		_, err := rec.RoundTrip(send(t, p.line, p.body))
		require.NoError(t, err)
	}
	text := written(t, rec)
	assert.Empty(t, exposes(text, secret), text)

	exchanges, diags := record.Parse("r.yaml", []byte(text))
	require.NoError(t, diags.Err(), text)
	player := record.NewPlayer(exchanges, record.PlayerOptions{})
	for _, p := range pairs {
		resp, err := player.RoundTrip(send(t, p.line, p.body))
		require.NoError(t, err, text)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, p.status, resp.StatusCode)
		if strings.HasPrefix(p.media, "text/") {
			assert.Equal(t, string(s.Scrub([]byte(p.answer))), string(body), text)
			continue
		}
		var want, got any
		require.NoError(t, json.Unmarshal([]byte(p.answer), &want))
		require.NoError(t, json.Unmarshal(body, &got))
		assert.Equal(t, scrubbed(s, want), got, text)
	}
	assert.Empty(t, player.Unused())
}

// scrubbed is a value as a recording keeps it.
func scrubbed(s *record.Scrubber, v any) any {
	switch v := v.(type) {
	case string:
		return string(s.Scrub([]byte(v)))
	case []any:
		for i := range v {
			v[i] = scrubbed(s, v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = scrubbed(s, v[key])
		}
	}
	return v
}

func randomText(rng *rand.Rand, n int) string {
	runes := []rune("abcXYZ019 \t\n\"'\\:#{}[]$&*!|>%@`,-?=~é€😀\u2028\u0085\u00a0\ufeff\x00\x7f\x1b/+_.")
	var b strings.Builder
	for range rng.IntN(n + 1) {
		b.WriteRune(runes[rng.IntN(len(runes))])
	}
	return b.String()
}

func randomValue(rng *rand.Rand, depth int, forms []string) any {
	switch kind := rng.IntN(10); {
	case kind == 0 && depth > 0:
		list := []any{}
		for range rng.IntN(4) {
			list = append(list, randomValue(rng, depth-1, forms))
		}
		return list
	case kind <= 2 && depth > 0:
		m := map[string]any{}
		for range rng.IntN(4) {
			key := randomText(rng, 6)
			if rng.IntN(4) == 0 {
				key = []string{"$any", "$more", "$$x", "null", "yes", "1", "<<", "", "~", "access_tokens"}[rng.IntN(10)]
			}
			m[key] = randomValue(rng, depth-1, forms)
		}
		return m
	case kind == 3:
		return []any{nil, true, false, 0, -1, 1.5, 1e300, -2.5e-7, int64(1) << 60}[rng.IntN(9)]
	case kind == 4:
		return []string{"null", "yes", "012", "+33", "1e5", "0x1", "~", "", "<<", "- a", "? b", "2026-01-01", ".inf"}[rng.IntN(13)]
	case kind == 5:
		return "x " + forms[rng.IntN(len(forms))]
	}
	return randomText(rng, 30)
}
