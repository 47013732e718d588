package temporal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"facteur/e2e/temporal"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Unknown outcomes of a run whose flow no longer compiles stay listed until they are settled by
// hand or by a receipt.
func TestUnknownOfAFlowThatNoLongerCompiles(t *testing.T) {
	t.Parallel()
	n, w := temporal.Start(t).Namespace(t, "unread"), hosttest.NewWorld()
	o := options(n, w)
	var hard context.CancelFunc
	o.Hard, hard = context.WithCancel(t.Context())
	h := openHost(t, o)
	ctx := t.Context()
	begin := func(text string) string {
		p := w.Compile(t, "flow: one\ninputs: {text: {type: string}}\nsteps:\n  - {id: first, action: test.send, with: {to: a}}\n  - {id: send, action: test.send, unknown_timeout: 10ms, with: {to: b, text: '${inputs.text}'}}\n")
		run, _, err := h.Start(ctx, p, host.Start{Inputs: map[string]any{"text": text}})
		require.NoError(t, err)
		return run.ID
	}
	settled, received, killed, told, stuck := begin("lost"), begin("lost"), begin("gate"), begin("gate"), begin("gate")
	ended := map[string]machine.Status{settled: machine.Failed, received: machine.Failed, killed: machine.Cancelled, told: machine.Cancelled, stuck: machine.Cancelled}
	for _, run := range []string{settled, received} {
		result, err := h.Wait(ctx, run)
		require.NoError(t, err)
		require.Equal(t, machine.Failed, result.Status)
	}
	require.Eventually(t, func() bool { return len(w.Messages("b")) == 5 }, 30*time.Second, 10*time.Millisecond)
	for _, run := range []string{killed, told} {
		n.Terminate(t, run)
	}
	hard()
	require.NoError(t, h.Stop(context.Background()))
	w.Answer("b")

	o = options(n, w)
	o.Restore = func(string, map[string]string) (*plan.Plan, error) { return nil, errors.New("no action test.send") }
	h = openHost(t, o)
	unknown := func() (ids []string) {
		list, _, err := h.List(ctx, host.Filter{Unknown: true})
		require.NoError(t, err)
		for _, run := range list {
			assert.Equal(t, 1, run.Unknown)
			ids = append(ids, run.ID)
		}
		return ids
	}
	r, err := h.Get(ctx, stuck)
	require.NoError(t, err)
	assert.Equal(t, host.Mismatch, r.Run.Status)
	assert.Equal(t, 1, r.Run.Unknown)
	var refused *host.StateError
	assert.ErrorAs(t, h.Settle(ctx, stuck, "f1."+stuck+".2", host.Settlement{}), &refused, "it has not ended")
	require.NoError(t, h.Cancel(ctx, stuck, "nobody can repair it"))
	assert.ErrorAs(t, h.Cancel(ctx, stuck, "again"), &refused)
	require.Eventually(t, func() bool { return len(unknown()) == 5 }, 20*time.Second, 100*time.Millisecond)
	for _, run := range []string{settled, killed, stuck} {
		key := "f1." + run + ".2"
		assert.ErrorAs(t, h.Retry(ctx, run, true), &refused)
		require.ErrorAs(t, h.Settle(ctx, run, "send", host.Settlement{Happened: true}), &refused, "nobody knows its steps")
		assert.Contains(t, refused.Hint, key)
		require.NoError(t, h.Settle(ctx, run, key, host.Settlement{Happened: true, ID: "wamid"}))
		assert.ErrorAs(t, h.Settle(ctx, run, key, host.Settlement{}), &refused)
	}
	for _, run := range []string{received, told} {
		require.NoError(t, h.Receive(ctx, call.Receipt{Key: "f1." + run + ".7", ID: "7", State: "sent"}))
		require.NoError(t, h.Receive(ctx, w.Receipt("f1."+run+".2", "sent")))
	}
	require.Eventually(t, func() bool { return len(unknown()) == 0 }, 20*time.Second, 100*time.Millisecond)
	for run, status := range ended {
		r, err := h.Get(ctx, run)
		require.NoError(t, err)
		assert.Equal(t, status, r.Run.Status)
		assert.Zero(t, r.Run.Unknown)
		require.NotNil(t, r.Result.Error)
		assert.Equal(t, string(host.Mismatch), r.Result.Error.Code)
	}
	require.NoError(t, h.Stop(context.Background()))

	h = openHost(t, options(n, w)) // by a version that knows the flow
	for _, run := range []string{settled, received} {
		r, err := h.Get(ctx, run)
		require.NoError(t, err)
		assert.Equal(t, machine.Failed, r.Run.Status)
		require.Len(t, r.Result.Steps, 2)
		assert.False(t, r.Result.Steps[1].Unknown)
		require.NoError(t, h.Retry(ctx, run, false))
		result, err := h.Wait(ctx, run)
		require.NoError(t, err)
		assert.Equal(t, machine.Succeeded, result.Status, "%+v", result.Error)
	}
	assert.Len(t, w.Messages("b"), 5)
}
