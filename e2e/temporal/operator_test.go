package temporal_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"facteur/cmd/facteur/logtest"
	"facteur/e2e/temporal"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Resetting a workflow to its beginning sends nothing twice: what may have been sent is unknown
// until a receipt arrives.
func TestReset(t *testing.T) {
	t.Parallel()
	n, w, h := start(t)
	p := w.Compile(t, `flow: reset
steps:
  - {id: get, action: test.get, with: {to: x}}
  - foreach: "${['a', 'b', 'gate']}"
    as: to
    concurrency: 3
    allow_failure: true
    steps: [{id: send, action: test.send, unknown_timeout: 1s, with: {to: '${to}', text: '${to}'}}]
  - {wait_for: {event: test.reply, from: a, timeout: 24h}}
  - {id: last, action: test.send, unknown_timeout: 1s, with: {to: last}}
`)
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.Messages("a"))+len(w.Messages("b"))+len(w.Messages("gate")) == 3 }, 30*time.Second, 10*time.Millisecond)

	n.Reset(t, run.ID)
	w.Receipt("f1."+run.ID+".2", "delivered") // of the message to a: it is found when it is looked for
	require.Eventually(t, func() bool {
		r, err := h.Get(t.Context(), run.ID)
		return err == nil && r.Run.Status == host.Waiting && len(r.Waits) > 0 && r.Run.Unknown == 2
	}, 60*time.Second, 50*time.Millisecond)
	r, err := h.Get(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, r.Result.Steps[2].Status, "the message to a has arrived")
	w.Answer("gate")
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a"}, At: time.Now(), Data: map[string]any{"text": "yes"}}))
	result, err := h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, result.Status, "whether the last was sent nobody knows: no message is sent after a reset")
	for _, to := range []string{"a", "b", "gate"} {
		assert.Len(t, w.Messages(to), 1, to)
	}
	assert.Empty(t, w.Messages("last"))

	require.NoError(t, h.Retry(t.Context(), run.ID, true)) // somebody says so
	result, err = h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, result.Status)
	assert.Len(t, w.Messages("last"), 1)
	assert.Len(t, w.Messages("a"), 1)
}

// Calls that a run had made after the point of its reset are not silently repeated, also when
// the outcome of the others is known.
func TestRetryAfterReset(t *testing.T) {
	t.Parallel()
	n, w, h := start(t)
	p := w.Compile(t, `flow: reset
steps:
  - {id: one, action: test.send, unknown_timeout: 1s, with: {to: a}}
  - {id: two, action: test.send, unknown_timeout: 1s, with: {to: b}}
  - {wait_for: {event: test.reply, from: a, timeout: 24h}}
`)
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.Messages("b")) == 1 }, 30*time.Second, 10*time.Millisecond)
	n.Reset(t, run.ID)
	result, err := h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, result.Status)
	require.NoError(t, h.Settle(t.Context(), run.ID, "one", host.Settlement{Happened: true}))
	var refused *host.StateError
	require.ErrorAs(t, h.Retry(t.Context(), run.ID, false), &refused)
	assert.Contains(t, refused.Reason, "reset")
	require.NoError(t, h.Retry(t.Context(), run.ID, true)) // somebody says so
	require.Eventually(t, func() bool { return len(w.Messages("b")) == 2 }, 30*time.Second, 10*time.Millisecond)
	assert.Len(t, w.Messages("a"), 1)
}

// A run of an unknown machine version is parked, and the log says why.
func TestRunOfAnotherVersion(t *testing.T) {
	t.Parallel()
	n := temporal.Start(t).Namespace(t, "version")
	var said logtest.Lines
	o := withoutSealing(options(n, hosttest.NewWorld()))
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	openHost(t, o)
	n.Begin(t, "later", "facteur", "facteur.run", map[string]any{"machine": 99, "flow": "f", "digest": "d"})
	said.Wait(t, "version 99 of the machine started the run")
	assert.NotContains(t, said.String(), "goroutine")
	assert.Contains(t, n.Open(t, "facteur.run"), "later")
}

// Two daemons receive the same request at the same time.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	w := hosttest.NewWorld()
	o := options(temporal.Start(t).Namespace(t, "both"), w)
	o.Past = nil // what a run is not told it does not know
	hosts := []*facteur.Host{openHost(t, o), openHost(t, o)}
	p := w.Compile(t, "flow: one\ninputs: {n: {type: integer}}\nsteps:\n  - {id: send, action: test.send, unknown_timeout: 10ms, with: {to: 'to ${string(inputs.n)}', text: lost}}\n")

	for n := range 8 {
		start := host.Start{Inputs: map[string]any{"n": int64(n)}, Key: fmt.Sprint(n)}
		var all sync.WaitGroup
		var ids sync.Map
		for i := range 6 {
			all.Go(func() {
				run, _, err := hosts[i%2].Start(context.Background(), p, start)
				assert.NoError(t, err)
				ids.Store(run.ID, true)
			})
		}
		all.Wait()
		var run string
		count := 0
		ids.Range(func(id, _ any) bool { run = id.(string); count++; return true })
		require.Equal(t, 1, count, "one key, one run")
		result, err := hosts[0].Wait(t.Context(), run)
		require.NoError(t, err)
		require.Equal(t, machine.Failed, result.Status)
		to := fmt.Sprintf("to %d", n)
		require.Len(t, w.Messages(to), 1)

		// A retry is requested while a receipt arrives.
		key := "f1." + run + ".1"
		all.Go(func() {
			for _, state := range []string{"sent", "delivered"} {
				assert.NoError(t, hosts[0].Receive(context.Background(), w.Receipt(key, state)))
			}
		})
		all.Go(func() { _ = hosts[1].Retry(context.Background(), run, true) })
		all.Wait()
		var r *host.Report
		require.Eventually(t, func() bool {
			r, err = hosts[0].Get(t.Context(), run)
			return err == nil && !r.Run.Ended.IsZero()
		}, 30*time.Second, 10*time.Millisecond)
		told := func(c host.Call) bool { return c.Key == key && len(c.Receipts) > 0 }
		assert.True(t, told(r.Calls[0]), "the news are not lost: %v", r.Calls)
	}
	for key, n := range w.CallCounts() {
		assert.Equal(t, 1, n, key)
	}
}

// The server restarts while calls are in progress: nothing is sent twice, and the run goes on.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	server := temporal.StartPersistent(t)
	w := hosttest.NewWorld()
	o := options(&temporal.Namespace{Address: server.Address, Name: server.Namespace}, w)
	o.Lost = 5 * time.Second
	h := openHost(t, o)
	p := w.Compile(t, "flow: one\nsteps:\n  - {id: first, action: test.send, with: {to: a}}\n  - {id: send, action: test.send, with: {to: b, text: gate}}\n  - {wait: 10ms}\n  - {id: last, action: test.send, with: {to: c}}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.Messages("b")) == 1 }, 30*time.Second, 10*time.Millisecond)
	server.Stop(t)
	w.Answer("b")
	server.Restart(t)
	require.Eventually(t, func() bool {
		r, err := h.Get(t.Context(), run.ID)
		if err == nil && r.Run.Unknown == 1 {
			err = h.Receive(t.Context(), w.Receipt("f1."+run.ID+".2", "delivered"))
		}
		return err == nil && r.Run.Status == machine.Succeeded
	}, 90*time.Second, 100*time.Millisecond)
	for key, n := range w.CallCounts() {
		assert.Equal(t, 1, n, key)
	}
	assert.Len(t, w.Messages("c"), 1)
}

// After a workflow is terminated, calls that were in progress are listed as unknown and can be
// settled.
func TestTerminated(t *testing.T) {
	t.Parallel()
	n, w, h := start(t)
	p := w.Compile(t, "flow: one\nsteps:\n  - {id: first, action: test.send, with: {to: a}}\n  - {id: send, action: test.send, with: {to: b, text: gate}}\n  - {id: last, action: test.send, with: {to: c}}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	calm, _, err := h.Start(t.Context(), w.Compile(t, "flow: two\nsteps:\n  - {id: first, action: test.send, with: {to: d}}\n  - {wait: 24h}\n"), host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.Messages("b"))+len(w.Messages("d")) == 2 }, 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		r, err := h.Get(t.Context(), calm.ID)
		return err == nil && r.Run.Status == host.Waiting
	}, 30*time.Second, 10*time.Millisecond)
	n.Terminate(t, run.ID)
	n.Terminate(t, calm.ID)
	w.Answer("b")

	result, err := h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, result.Status)
	assert.Equal(t, "terminated", result.Error.Code)
	require.Len(t, result.Steps, 2)
	assert.True(t, result.Steps[1].Unknown)
	require.Eventually(t, func() bool {
		list, _, err := h.List(t.Context(), host.Filter{Unknown: true})
		return err == nil && len(list) == 1 && list[0].ID == run.ID && list[0].Unknown == 1
	}, 10*time.Second, 100*time.Millisecond)

	var refused *host.StateError
	require.ErrorAs(t, h.Retry(t.Context(), run.ID, true), &refused)
	assert.Contains(t, refused.Hint, "settle")
	require.ErrorAs(t, h.Retry(t.Context(), calm.ID, true), &refused)
	assert.Contains(t, refused.Hint, "a new run")
	require.NoError(t, h.Settle(t.Context(), run.ID, "send", host.Settlement{Happened: true, ID: "wamid"}))
	result, err = h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Cancelled, result.Status)
	assert.False(t, result.Steps[1].Unknown)
	assert.Equal(t, "wamid", result.Steps[1].Outputs["id"])
	for _, to := range []string{"a", "b"} {
		assert.Len(t, w.Messages(to), 1)
	}
	assert.Empty(t, w.Messages("c"))
}
