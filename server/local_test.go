package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const askFlow = `flow: ask
inputs:
  phone: {type: string, format: e164}
  pin: {type: string, sensitive: true}
steps:
  - {id: question, action: test.send, with: {to: "${inputs.phone}", text: "${inputs.pin}"}}
  - id: reply
    wait_for: {event: test.reply, from: "${inputs.phone}", timeout: 1h}
outputs:
  text: ${steps.reply.outputs.text}
  pin: ${inputs.pin}
`

// real opens a local host over a journal in a file.
func real(t testing.TB, do call.Do) *local.Host {
	t.Helper()
	j, err := journal.OpenSQLite(filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, err)
	h, err := local.Open(context.Background(), local.Options{
		Journal: j, Do: do,
		Restore: func(string, map[string]string) (*plan.Plan, error) { return nil, errors.New("no run is here before") },
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		assert.NoError(t, h.Stop(ctx))
		assert.NoError(t, j.Close())
	})
	return h
}

func TestARealHostBehindTheAPI(t *testing.T) {
	answers := make(chan call.Outcome, 1)
	h := real(t, func(context.Context, call.Call) call.Outcome { return <-answers })
	d := newDaemon(t, func(o *server.Options) { o.Host = h })
	d.flows.now = []*plan.Plan{compile(t, askFlow)}
	web := httptest.NewServer(d.handler)
	defer web.Close()
	c, ctx := &server.Client{URL: web.URL}, t.Context()
	inputs := server.StartRequest{Inputs: map[string]any{"phone": "+33612345678", "pin": "4711-secret"}}

	// A run that asks, waits for a reply, and ends with it.
	answers <- call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "m1"}}
	ended := make(chan *server.Started)
	go func() {
		r, err := c.Start(ctx, "ask", inputs, server.StartOption{Key: "k1", Wait: time.Minute})
		assert.NoError(t, err)
		ended <- r
	}()
	var waiting server.Run
	require.Eventually(t, func() bool {
		list, err := c.Runs(ctx, host.Filter{Status: host.Waiting})
		if err != nil || len(list.Runs) != 1 {
			return false
		}
		waiting = list.Runs[0]
		return true
	}, 10*time.Second, 5*time.Millisecond)
	detail, err := c.Run(ctx, waiting.RunID, 0)
	require.NoError(t, err)
	assert.NotEmpty(t, detail.Waits)
	_, err = c.Deliver(ctx, server.Event{ID: "e1", Event: "test.reply", Data: map[string]any{"from": "+33612345678", "text": "oui"}})
	require.NoError(t, err)
	r := <-ended
	require.NotNil(t, r)
	assert.Equal(t, machine.Succeeded, r.Status)
	assert.Equal(t, map[string]any{"text": "oui", "pin": "4711-secret"}, r.Outputs)

	detail, err = c.Run(ctx, r.RunID, time.Second)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, detail.Status)
	assert.Equal(t, map[string]any{"text": "oui", "pin": "[secret]"}, detail.Outputs)
	require.Len(t, detail.Calls, 1)
	assert.Equal(t, map[string]any{"to": "+*********78", "text": "[secret]"}, detail.Calls[0].Input)
	assert.NotEmpty(t, detail.Journal)
	text := d.do("GET", "/v1/runs/"+r.RunID, "").Body.String()
	assert.NotContains(t, text, "4711-")
	assert.NotContains(t, text, "3361234")

	again, err := c.Start(ctx, "ask", inputs, server.StartOption{Key: "k1"})
	require.NoError(t, err)
	assert.True(t, again.Repeated)
	assert.Equal(t, r.RunID, again.RunID)
	inputs.Inputs["pin"] = "another"
	_, err = c.Start(ctx, "ask", inputs, server.StartOption{Key: "k1"})
	var p *server.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, server.KeyReused, p.Kind())

	// One that fails, is retried, and is settled by nobody: it was not unknown.
	answers <- call.Outcome{Status: call.Failed, Error: &call.Error{Code: "refused", Message: "no"}}
	r, err = c.Start(ctx, "ask", inputs, server.StartOption{Wait: time.Minute})
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, r.Status)
	assert.Equal(t, "question", r.Error.Step)
	require.ErrorAs(t, c.Cancel(ctx, r.RunID, server.CancelRequest{}), &p)
	assert.Equal(t, server.Conflict, p.Kind())
	require.ErrorAs(t, c.Settle(ctx, r.RunID, server.SettleRequest{Step: "question", Happened: true}), &p)
	answers <- call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "m2"}}
	require.NoError(t, c.Retry(ctx, r.RunID, server.RetryRequest{}))
	require.NoError(t, c.Cancel(ctx, r.RunID, server.CancelRequest{Reason: "enough"}))
	detail, err = c.Run(ctx, r.RunID, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, machine.Cancelled, detail.Status)

	// Holds.
	require.NoError(t, c.Pause(ctx, server.PauseRequest{Scope: host.Flow, Name: "ask", Reason: "lunch"}))
	holds, err := c.Holds(ctx)
	require.NoError(t, err)
	require.Len(t, holds.Holds, 1)
	assert.Equal(t, "lunch", holds.Holds[0].Reason)
	require.NoError(t, c.Resume(ctx, server.ResumeRequest{Scope: host.Flow, Name: "ask"}))
	require.ErrorAs(t, c.Resume(ctx, server.ResumeRequest{Scope: host.Flow, Name: "ask"}), &p)
	assert.Equal(t, server.NotFound, p.Kind())
}

// BenchmarkDurable starts runs of one step through the API, each answered when it is
// durable, and lets them end; beside it a bare loop makes the same requests to the same
// server. Both have the same load generator.
func BenchmarkDurable(b *testing.B) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"messages":[{"id":"m"}]}`)
	}))
	defer target.Close()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a daemon lets more garbage pile up, too
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}
	web := &http.Client{Transport: transport}
	post := func(ctx context.Context, url, auth, body string) error {
		req, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", auth)
		resp, err := web.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode > 299 {
			err = fmt.Errorf("%d: %s", resp.StatusCode, text)
		}
		return err
	}
	body := func(n int) string {
		return fmt.Sprintf(`{"inputs": {"phone": "+336%08d", "order_id": "%d"}}`, n%100_000_000, n)
	}
	load := func(b *testing.B, beside int, one func(n int) error) {
		b.ReportAllocs()
		b.ResetTimer()
		todo, group := make(chan int), sync.WaitGroup{}
		for range beside {
			group.Go(func() {
				for n := range todo {
					if err := one(n); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for n := range b.N {
			todo <- n
		}
		close(todo)
		group.Wait()
	}
	for _, beside := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("bare/%d", beside), func(b *testing.B) {
			load(b, beside, func(n int) error { return post(b.Context(), target.URL, "", body(n)) })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
		b.Run(fmt.Sprintf("api/%d", beside), func(b *testing.B) {
			var sent sync.WaitGroup
			h := real(b, func(ctx context.Context, c call.Call) call.Outcome {
				defer sent.Done()
				if err := post(ctx, target.URL, "", `{"to":"+33612345678"}`); err != nil {
					return call.Outcome{Status: call.Unknown, Error: &call.Error{Message: err.Error()}}
				}
				return call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "m"}}
			})
			d := newDaemon(b, func(o *server.Options) { o.Host, o.Log = h, slog.New(slog.DiscardHandler) })
			_, key, err := d.keys.Create("bench", server.ScopeRun, time.Time{})
			require.NoError(b, err)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			ctx, stop := context.WithCancel(context.Background())
			served := make(chan error)
			go func() { served <- server.Serve(ctx, l, d.handler, server.ServeOptions{}) }()
			url := "http://" + l.Addr().String() + "/v1/flows/order_shipped/runs"
			sent.Add(b.N)
			load(b, beside, func(n int) error { return post(b.Context(), url, "Bearer "+key, body(n)) })
			sent.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
			b.StopTimer()
			stop()
			transport.CloseIdleConnections()
			require.NoError(b, <-served)
		})
	}
}
