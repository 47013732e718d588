package temporal_test

import (
	"testing"
	"time"

	"facteur/e2e/temporal"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A receipt of a call that no step awaits adds no events to the run's history, and is shown.
func TestReceiptThatNoStepAwaits(t *testing.T) {
	server := temporal.Start(t)
	server.Namespace(t, "quiet")
	w := hosttest.NewWorld()
	h, err := facteur.Open(t.Context(), options(server.Address, "quiet", w))
	require.NoError(t, err)
	p := w.Compile(t, "flow: send\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n  - {wait: 24h}\n")
	run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err := h.Get(t.Context(), run.ID)
		return err == nil && r.Run.Status == host.Waiting
	}, 30*time.Second, 10*time.Millisecond)
	before := server.History(t, "quiet", run.ID)
	for _, state := range []string{"sent", "delivered"} {
		require.NoError(t, h.Receive(t.Context(), w.Receipt("f1."+run.ID+".1", state)))
	}
	assert.Equal(t, before, server.History(t, "quiet", run.ID))
	r, err := h.Get(t.Context(), run.ID)
	require.NoError(t, err)
	require.Len(t, r.Calls, 1)
	assert.Len(t, r.Calls[0].Receipts, 2)
	require.NoError(t, h.Stop(t.Context()))
}
