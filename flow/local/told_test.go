package local_test

import (
	"context"
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

// A step that ends by a receipt which comes while nobody carries the run is told of, once,
// like any other.
func TestStepsThatEndWhileTheRunIsParked(t *testing.T) {
	p := kit{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, await: {state: delivered, timeout: 1h}}\n  - {id: get, action: test.get, with: {to: a}}\n")
	told := make(chan string, 10)
	h, err := local.Open(t.Context(), local.Options{
		Journal: &journal.Memory{}, Receipts: true, Moment: time.Nanosecond,
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
