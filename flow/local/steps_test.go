package local_test

import (
	"context"
	"sync"
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

// OnStep is called once for a step that ends by a receipt which comes while the run is parked.
func TestStepsThatEndWhileTheRunIsParked(t *testing.T) {
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, await: {state: delivered, timeout: 1h}}\n  - {id: get, action: test.get, with: {to: a}}\n")
	told := make(chan string, 10)
	h, err := local.Open(t.Context(), local.Options{
		Journal: &journal.Memory{}, Receipts: true, MinParkTime: time.Nanosecond,
		Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
		OnStep:  func(_ string, s *machine.Step, _ []any) { told <- s.Path },
		Do: func(_ context.Context, c call.Call) call.Outcome {
			if c.Action == "test.send" {
				return call.Outcome{Status: call.Pending}
			}
			return accepted(c)
		},
	})
	require.NoError(t, err)
	run, _, err := h.Start(t.Context(), p, host.Start{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err := h.Get(t.Context(), run.ID)
		return err == nil && r.Run.Status == host.Waiting
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: "f1." + run.ID + ".1", ID: "1", State: "delivered"}))
	result, err := h.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, result.Status)
	require.NoError(t, h.Stop(t.Context()))
	close(told)
	var steps []string
	for path := range told {
		steps = append(steps, path)
	}
	assert.Equal(t, []string{"send", "get"}, steps)
}

// So it is for a retried run that was queued.
func TestStepsThatEndWhileARetryIsQueued(t *testing.T) {
	told := make(chan string, 10)
	h := openHost(t, local.Options{
		OnStep: func(_ string, s *machine.Step, _ []any) { told <- s.Path + " " + string(s.Status) },
		Do: func(_ context.Context, c call.Call) call.Outcome {
			if c.Input["text"] == "lost" {
				return lost()
			}
			return accepted(c)
		},
	})
	p := testCatalog{}.compile(t, turns)
	run := startRun(t, h, p, map[string]any{"text": "lost"})
	assert.Equal(t, machine.Failed, waitResult(t, h, run).Status)
	holder := startRun(t, h, p, map[string]any{"text": "hello"})
	eventually(t, "it waits", func() bool { return statusOf(t, h, holder) == host.Waiting })
	require.NoError(t, h.Retry(t.Context(), run, true))
	require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: "f1." + run + ".1", ID: "1", State: "sent"}))
	require.NoError(t, h.Cancel(t.Context(), holder, ""))
	waitResult(t, h, holder)
	eventually(t, "its turn comes", func() bool { return statusOf(t, h, run) == host.Waiting })
	require.NoError(t, h.Stop(t.Context()))
	close(told)
	var steps []string
	for step := range told {
		steps = append(steps, step)
	}
	assert.Equal(t, []string{"send failed", "send succeeded", "send succeeded"}, steps)
}

// Wait returns the result of a run that has ended even if its idempotency key is used again.
func TestWaitWhileAKeyIsUsedAgain(t *testing.T) {
	j := &spyJournal{Journal: &journal.Memory{}}
	h := openHost(t, local.Options{Journal: j})
	p := testCatalog{}.compile(t, one)
	run, _, err := h.Start(t.Context(), p, host.Start{Key: "k"})
	require.NoError(t, err)
	waitResult(t, h, run.ID)
	ctx := &watchedContext{Context: t.Context(), asked: make(chan bool)}
	told := make(chan error, 1)
	j.before = func(_ int, op string, _ bool, _ []journal.Record) error {
		if op == "create" {
			go func() {
				_, err := h.Wait(ctx, run.ID)
				told <- err
			}()
			<-ctx.asked
		}
		return nil
	}
	_, fresh, err := h.Start(t.Context(), p, host.Start{Key: "k"})
	require.NoError(t, err)
	assert.False(t, fresh)
	select {
	case err := <-told:
		assert.NoError(t, err)
	case <-time.After(30 * time.Second):
		assert.Fail(t, "who waits is forgotten")
	}
}

// A watchedContext tells when somebody begins to wait for its end.
type watchedContext struct {
	context.Context
	once  sync.Once
	asked chan bool
}

func (w *watchedContext) Done() <-chan struct{} {
	w.once.Do(func() { close(w.asked) })
	return w.Context.Done()
}
