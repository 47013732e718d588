package record_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/record"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata/exchanges")

const corpus = "../../testdata/exchanges"

// golden runs f on the parts of every archive of a folder, and compares with its last part,
// "want".
func golden(t *testing.T, folder string, f func(t *testing.T, parts []txtar.File) string) {
	files, err := filepath.Glob(filepath.Join(corpus, folder, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			last := len(archive.Files) - 1
			require.Equal(t, "want", archive.Files[last].Name)
			got := f(t, archive.Files[:last])
			if *update {
				archive.Files[last].Data = []byte(got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
			}
			assert.Equal(t, string(archive.Files[last].Data), got)
		})
	}
}

func parse(t testing.TB, text string) []*record.Exchange {
	t.Helper()
	exchanges, diags := record.Parse("r.yaml", []byte(text))
	require.NoError(t, diags.Err())
	return exchanges
}

// send makes a request from a line of an archive: a method, a URL, then key=value words.
func send(t *testing.T, line, body string) *http.Request {
	words := strings.Fields(line)
	req, err := http.NewRequest(words[0], words[1], strings.NewReader(body))
	require.NoError(t, err)
	var info record.Info
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "step":
			info.Step = value
		case "path":
			info.Path = value
		case "iteration":
			info.Iteration = value
		case "attempt":
			info.Attempt, err = strconv.Atoi(value)
			require.NoError(t, err)
		case "volatile":
			info.Volatile = strings.Split(value, ",")
		case "type":
			req.Header.Set("Content-Type", map[string]string{"form": "application/x-www-form-urlencoded", "text": "text/plain"}[value])
		default:
			name, ok := strings.CutPrefix(key, "header:")
			require.True(t, ok, "what is %q?", word)
			value, err = url.QueryUnescape(value)
			require.NoError(t, err)
			req.Header.Set(name, value)
		}
	}
	return req.WithContext(record.WithInfo(req.Context(), info))
}

func TestMatching(t *testing.T) {
	golden(t, "match", func(t *testing.T, parts []txtar.File) string {
		exchanges, diags := record.Parse(parts[0].Name, parts[0].Data)
		require.NoError(t, diags.Err())
		player := record.NewPlayer(exchanges, record.PlayerOptions{})
		var out strings.Builder
		for _, part := range parts[1:] {
			resp, err := player.RoundTrip(send(t, part.Name, strings.TrimSuffix(string(part.Data), "\n")))
			if err != nil {
				var mismatch *record.MismatchError
				require.ErrorAs(t, err, &mismatch)
				fmt.Fprintf(&out, "%v\n\n", err)
				continue
			}
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			fmt.Fprintf(&out, "%s %s %s\n\n", resp.Status, resp.Header.Get("Content-Type"), body)
		}
		for _, x := range player.Unused() {
			fmt.Fprintf(&out, "unused: line %d, %d of %d\n", x.Range.Pos().Line, x.Uses, max(1, x.Times))
		}
		return out.String()
	})
}

func TestMismatchReachesThroughAClient(t *testing.T) {
	player := record.NewPlayer(parse(t, `exchanges: [{request: {path: /a}, response: {status: 200}}]`), record.PlayerOptions{})
	client := &http.Client{Transport: player}
	_, err := client.Get("https://api.shop.test/b")
	var mismatch *record.MismatchError
	require.ErrorAs(t, err, &mismatch)
	assert.Equal(t, []record.Difference{{Path: "path", Recorded: `"/a"`, Sent: `"/b"`}}, mismatch.Differences)
	assert.Len(t, player.Mismatches(), 1)
	assert.ErrorAs(t, player.Err(), &mismatch)
	require.NoError(t, record.NewPlayer(nil, record.PlayerOptions{}).Err())
}

func TestARequestWithoutAURLIsAnError(t *testing.T) {
	_, err := record.NewPlayer(nil, record.PlayerOptions{}).RoundTrip(&http.Request{})
	require.EqualError(t, err, "the request has no URL")
}

func TestInfoOfACall(t *testing.T) {
	for _, tt := range []struct{ path, step, iteration string }{
		{"notify", "notify", ""},
		{"book/notify", "notify", ""},
		{"each[3].notify", "notify", "each[3]"},
		{"each[3].book/notify", "notify", "each[3].book"},
		{"steps[2][0].book/inner[1].notify", "notify", "steps[2][0].book/inner[1]"},
		{"steps[2]", "steps[2]", ""},
		{"each[3].each.steps[0]", "each[3].each.steps[0]", ""},
	} {
		info := record.InfoOf(call.Call{Step: tt.path, Attempt: 2}, []string{"x"})
		assert.Equal(t, record.Info{Step: tt.step, Path: tt.path, Attempt: 2, Iteration: tt.iteration, Volatile: []string{"x"}}, info, tt.path)
	}
}

func TestLostAnswers(t *testing.T) {
	for _, tt := range []struct {
		lost  string
		check func(t *testing.T, err error)
	}{
		{"timeout", func(t *testing.T, err error) {
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			assert.True(t, timeout.Timeout())
		}},
		{"reset", func(t *testing.T, err error) { assert.ErrorIs(t, err, syscall.ECONNRESET) }},
	} {
		t.Run(tt.lost, func(t *testing.T) {
			player := record.NewPlayer(parse(t, `exchanges: [{request: {path: /a}, response: {lost: `+tt.lost+`}}]`), record.PlayerOptions{})
			_, err := player.RoundTrip(send(t, "GET https://api.shop.test/a", ""))
			tt.check(t, err)
			assert.Empty(t, player.Unused(), "the request was sent")
			assert.NoError(t, player.Err())
		})
	}
}

func TestTruncatedAnswer(t *testing.T) {
	player := record.NewPlayer(parse(t, `exchanges: [{request: {path: /a}, response: {json: {text: abcdef}, truncated: true}}]`), record.PlayerOptions{})
	resp, err := player.RoundTrip(send(t, "GET https://api.shop.test/a", ""))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, `{"text":`, string(body))
	assert.Equal(t, int64(17), resp.ContentLength)
}

func TestDelay(t *testing.T) {
	const recording = `exchanges: [{request: {path: /a}, response: {status: 200, delay: 30s}}]`
	get := func(ctx context.Context, options record.PlayerOptions) error {
		player := record.NewPlayer(parse(t, recording), options)
		_, err := player.RoundTrip(send(t, "GET https://api.shop.test/a", "").WithContext(ctx))
		return err
	}
	assert.NoError(t, get(t.Context(), record.PlayerOptions{}), "nobody waits")

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	assert.ErrorIs(t, get(ctx, record.PlayerOptions{}), context.DeadlineExceeded)

	var slept time.Duration
	assert.NoError(t, get(ctx, record.PlayerOptions{Sleep: func(_ context.Context, d time.Duration) error {
		slept += d
		return nil
	}}))
	assert.Equal(t, 30*time.Second, slept)

	stop := errors.New("stop")
	assert.ErrorIs(t, get(ctx, record.PlayerOptions{Sleep: func(context.Context, time.Duration) error { return stop }}), stop)
}

func TestCancelledRequestUsesNothing(t *testing.T) {
	player := record.NewPlayer(parse(t, `exchanges: [{request: {path: /a}, response: {status: 200}}]`), record.PlayerOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := player.RoundTrip(send(t, "GET https://api.shop.test/a", "").WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, player.Unused(), 1)
}

func TestConcurrentRequests(t *testing.T) {
	const n = 200
	var text strings.Builder
	text.WriteString("exchanges:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {step: send, request: {path: /1/messages, json: {to: \"+%d\"}}, response: {json: {id: \"m%d\"}}}\n", i, i)
	}
	player := record.NewPlayer(parse(t, text.String()), record.PlayerOptions{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			req := send(t, fmt.Sprintf("POST https://graph.facebook.com/v23.0/1/messages step=send iteration=%d", i), fmt.Sprintf(`{"to": "+%d"}`, i))
			resp, err := player.RoundTrip(req)
			if assert.NoError(t, err) {
				body, _ := io.ReadAll(resp.Body)
				assert.Equal(t, fmt.Sprintf(`{"id":"m%d"}`, i), string(body))
			}
		})
	}
	group.Wait()
	assert.Empty(t, player.Unused())
}

const sendBody = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+33612345678","type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"cher client"},{"type":"text","text":"n° 7"}]}]},"biz_opaque_callback_data":"f1.3f9d.1"}`

func BenchmarkRoundTrip(b *testing.B) {
	const recording = `exchanges:
  - step: notify
    request:
      path: /106540352242922/messages
      json: {messaging_product: whatsapp, recipient_type: individual, to: "+33612345678", type: template, template: {name: order_shipped, language: {code: fr}, components: [{type: body, parameters: [{type: text, text: cher client}, {type: text, text: "n° 7"}]}]}}
    response: {status: 200, json: {messaging_product: whatsapp, contacts: [{input: "+33612345678", wa_id: "33612345678"}], messages: [{id: wamid.TEST}]}}
`
	exchanges := parse(b, recording)
	ctx := record.WithInfo(b.Context(), record.Info{Step: "notify", Attempt: 1, Volatile: []string{"biz_opaque_callback_data"}})
	target, err := url.Parse("https://graph.facebook.com/v23.0/106540352242922/messages")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		player := record.NewPlayer(exchanges, record.PlayerOptions{})
		req := (&http.Request{Method: "POST", URL: target, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(sendBody))), ContentLength: int64(len(sendBody))}).WithContext(ctx)
		resp, err := player.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkForeach matches the 500 requests of a foreach, whose exchanges only differ in the
// body.
func BenchmarkForeach(b *testing.B) {
	const n = 500
	var text strings.Builder
	text.WriteString("exchanges:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {step: send, request: {path: /1/messages, json: {type: text, to: \"+%d\"}}, response: {json: {id: \"m%d\"}}}\n", i, i)
	}
	exchanges := parse(b, text.String())
	b.ReportAllocs()
	for b.Loop() {
		player := record.NewPlayer(exchanges, record.PlayerOptions{})
		for i := range n {
			req, _ := http.NewRequest("POST", "https://graph.facebook.com/v23.0/1/messages", strings.NewReader(fmt.Sprintf(`{"type": "text", "to": "+%d"}`, n-1-i)))
			req.Header.Set("Content-Type", "application/json")
			if _, err := player.RoundTrip(req.WithContext(record.WithInfo(b.Context(), record.Info{Step: "send", Iteration: "1"}))); err != nil {
				b.Fatal(err)
			}
		}
	}
}
