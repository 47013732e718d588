package local_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const alone = "flow: f\nconcurrency: {limit: 1}\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n"

// A gate lets calls through one by one, and counts those in flight.
type gate struct {
	mu          sync.Mutex
	under, most int
	made        chan string   // runs, as their calls are made
	pass        chan struct{} // one for each call
}

func newGate() *gate {
	return &gate{made: make(chan string, 10), pass: make(chan struct{}, 10)}
}

func (s *gate) do(_ context.Context, c call.Call) call.Outcome {
	s.mu.Lock()
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	s.made <- c.Run
	<-s.pass
	s.mu.Lock()
	s.under--
	s.mu.Unlock()
	return accepted(c)
}

func openStopped(t *testing.T, j journal.Journal, p *plan.Plan, do call.Do) *local.Host {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Journal: j, Do: do, Receipts: true,
		Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil }})
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	return h
}

// The last holder of a lock ends while the next run is being stored: that run still gets the lock
// before those after it.
func TestALockOutlivesItsLastHolderWhileAnotherComes(t *testing.T) {
	file, err := journal.OpenSQLite(filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, err)
	defer file.Close()
	coming, ended := make(chan struct{}), make(chan struct{})
	creates := 0
	j := &spyJournal{Journal: file, before: func(_ int, op string, _ bool, _ []journal.Record) error {
		if op == "create" {
			if creates++; creates == 2 {
				close(coming)
				<-ended
			}
		}
		return nil
	}}
	p := testCatalog{}.compile(t, alone)
	s := newGate()
	h := openStopped(t, j, p, s.do)
	ctx := t.Context()
	first, _, err := h.Start(ctx, p, host.Start{})
	require.NoError(t, err)
	<-s.made
	second := make(chan host.Run)
	go func() {
		run, _, err := h.Start(ctx, p, host.Start{})
		assert.NoError(t, err)
		second <- run
	}()
	<-coming
	s.pass <- struct{}{}
	_, err = h.Wait(ctx, first.ID)
	require.NoError(t, err)
	close(ended)
	b := <-second
	assert.Equal(t, b.ID, <-s.made)
	third, _, err := h.Start(ctx, p, host.Start{})
	require.NoError(t, err)
	assert.Equal(t, host.Queued, third.Status)
	s.pass <- struct{}{}
	s.pass <- struct{}{}
	for _, id := range []string{b.ID, third.ID} {
		result, err := h.Wait(ctx, id)
		require.NoError(t, err)
		assert.Equal(t, machine.Succeeded, result.Status)
	}
	assert.Equal(t, 1, s.most)
}

// A queued run whose turn comes while it is being cancelled does not begin.
func TestACancelledRunDoesNotBegin(t *testing.T) {
	file, err := journal.OpenSQLite(filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, err)
	defer file.Close()
	cancelling, ended := make(chan struct{}), make(chan struct{})
	j := &spyJournal{Journal: file}
	j.after = func(_ int, _ string, _ bool, records []journal.Record) error {
		if len(records) == 1 && records[0].Kind == "cancel" {
			close(cancelling)
			<-ended
		}
		return nil
	}
	p := testCatalog{}.compile(t, alone)
	s := newGate()
	h := openStopped(t, j, p, s.do)
	ctx := t.Context()
	first, _, err := h.Start(ctx, p, host.Start{})
	require.NoError(t, err)
	<-s.made
	second, _, err := h.Start(ctx, p, host.Start{})
	require.NoError(t, err)
	require.Equal(t, host.Queued, second.Status)
	done := make(chan error)
	go func() { done <- h.Cancel(ctx, second.ID, "not needed") }()
	<-cancelling
	s.pass <- struct{}{}
	_, err = h.Wait(ctx, first.ID)
	require.NoError(t, err)
	close(ended)
	require.NoError(t, <-done)
	report, err := h.Get(ctx, second.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Cancelled, report.Run.Status)
	third, _, err := h.Start(ctx, p, host.Start{})
	require.NoError(t, err)
	assert.Equal(t, machine.Running, third.Status)
	s.pass <- struct{}{}
	_, err = h.Wait(ctx, third.ID)
	require.NoError(t, err)
}

const turns = "flow: turns\ninputs: {text: {type: string, default: hello}}\nconcurrency: {limit: 1, on_conflict: queue}\nsteps:\n" +
	"  - {id: send, action: test.send, with: {to: a, text: \"${inputs.text}\"}, unknown_timeout: 1ms}\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}\n"

// A retried run queues for its lock as a new one does, also before the host has learned the limit
// of that lock.
func TestARetryAfterARestartWaitsForItsTurn(t *testing.T) {
	for name, held := range map[string]bool{"another run is there": true, "none is there": false} {
		t.Run(name, func(t *testing.T) {
			j := &journal.Memory{}
			refuses := true
			do := func(_ context.Context, c call.Call) call.Outcome {
				if refuses {
					return refused(false)
				}
				return accepted(c)
			}
			h := openHost(t, local.Options{Journal: j, Do: do})
			p := testCatalog{}.compile(t, turns)
			var line []string
			for range 3 {
				run := startRun(t, h, p, map[string]any{"text": "hello"})
				assert.Equal(t, machine.Failed, waitResult(t, h, run).Status)
				line = append(line, run)
			}
			refuses = false
			retried := line
			if held {
				run := startRun(t, h, p, map[string]any{"text": "hello"})
				eventually(t, "it waits", func() bool { return statusOf(t, h, run) == host.Waiting })
				line = append([]string{run}, line...)
			}
			require.NoError(t, h.Stop(t.Context()))

			h = openHost(t, local.Options{Journal: j, Do: do})
			for _, run := range retried {
				require.NoError(t, h.Retry(t.Context(), run, false))
			}
			for n, run := range line {
				eventually(t, "its turn comes", func() bool { return statusOf(t, h, run) == host.Waiting })
				for _, next := range line[n+1:] {
					assert.Equal(t, host.Queued, statusOf(t, h, next))
				}
				require.NoError(t, h.Deliver(t.Context(), host.Event{ID: run, Name: "test.reply", Subjects: []string{"a"}, At: time.Now(), Data: map[string]any{"text": "oui"}}))
				assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
			}
		})
	}
}

// A run whose retry is cancelled while it is queued is as it was before: receipts of its calls still
// reach it, and it can be retried again.
func TestACancelledRetry(t *testing.T) {
	j := &journal.Memory{}
	h := openHost(t, local.Options{Journal: j, Do: func(_ context.Context, c call.Call) call.Outcome {
		if c.Input["text"] == "lost" && c.Attempt == 1 {
			return lost()
		}
		return accepted(c)
	}})
	ctx := t.Context()
	p := testCatalog{}.compile(t, turns)
	doubted := startRun(t, h, p, map[string]any{"text": "lost"})
	assert.Equal(t, machine.Failed, waitResult(t, h, doubted).Status)
	holder := startRun(t, h, p, map[string]any{"text": "hello"})
	eventually(t, "it waits", func() bool { return statusOf(t, h, holder) == host.Waiting })
	var state *host.StateError
	for range 2 {
		require.NoError(t, h.Retry(ctx, doubted, true))
		assert.Equal(t, host.Queued, statusOf(t, h, doubted))
		require.NoError(t, h.Cancel(ctx, doubted, "not needed"))
		r := waitResult(t, h, doubted)
		assert.Equal(t, machine.Cancelled, r.Status)
		assert.True(t, r.Steps[0].Unknown)
		assert.ErrorAs(t, h.Cancel(ctx, doubted, "again"), &state)
	}
	assert.ErrorAs(t, h.Retry(ctx, doubted, false), &state, "its call may have happened")
	require.NoError(t, h.Receive(ctx, call.Receipt{Key: "f1." + doubted + ".1", ID: "1", State: "sent"}))
	r, err := h.Get(ctx, doubted)
	require.NoError(t, err)
	assert.Zero(t, r.Run.Unknown)
	assert.False(t, r.Result.Steps[0].Unknown)
	assert.Equal(t, machine.Cancelled, r.Run.Status)

	require.NoError(t, h.Retry(ctx, doubted, false))
	require.NoError(t, h.Cancel(ctx, holder, ""))
	eventually(t, "its turn comes", func() bool { return statusOf(t, h, doubted) == host.Waiting })
	require.NoError(t, h.Deliver(ctx, host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a"}, At: time.Now(), Data: map[string]any{"text": "oui"}}))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, doubted).Status)
	list, _, err := h.List(ctx, host.Filter{Unknown: true})
	require.NoError(t, err)
	assert.Empty(t, list)
}

// A run that is retried before a worker saw its end still has its place, and does not queue behind
// itself.
func TestRetryOfARunWhoseEndNobodySaw(t *testing.T) {
	under, going := make(chan bool, 1), make(chan bool)
	var lostOne atomic.Bool
	h := openHost(t, local.Options{Workers: 1, MinParkTime: time.Nanosecond, Do: func(_ context.Context, c call.Call) call.Outcome {
		switch {
		case c.Input["to"] == "busy":
			under <- true
			<-going
		case lostOne.CompareAndSwap(false, true):
			return lost()
		}
		return accepted(c)
	}})
	flow := "flow: %s\n%ssteps:\n  - {id: send, action: test.send, with: {to: %s}, unknown_timeout: 24h}\n"
	run := startRun(t, h, testCatalog{}.compile(t, fmt.Sprintf(flow, "one", "concurrency: {limit: 1, on_conflict: queue}\n", "a")), nil)
	eventually(t, "it waits for news", func() bool { return statusOf(t, h, run) == host.Waiting })
	startRun(t, h, testCatalog{}.compile(t, fmt.Sprintf(flow, "other", "", "busy")), nil)
	<-under // the only worker
	require.NoError(t, h.Settle(t.Context(), run, "send", host.Settlement{}))
	require.NoError(t, h.Retry(t.Context(), run, false))
	close(going)
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
}
