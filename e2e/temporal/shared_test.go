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

// Projects may share a namespace: each has a task queue of its own, and sees only its own runs
// and holds.
func TestSharedNamespace(t *testing.T) {
	server := temporal.Start(t)
	server.Namespace(t, "shared")
	open := func(queue string) (*facteur.Host, *hosttest.World) {
		w := hosttest.NewWorld()
		o := options(server.Address, "shared", w)
		o.Queue = queue
		h, err := facteur.Open(t.Context(), o)
		require.NoError(t, err)
		return h, w
	}
	shop, w := open("shop")
	bank, _ := open("bank")
	p := w.Compile(t, "flow: send\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n")
	run, _, err := shop.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
	require.NoError(t, err)
	_, err = shop.Wait(t.Context(), run.ID)
	require.NoError(t, err)
	require.NoError(t, shop.Pause(t.Context(), host.All, "", "a test"))
	require.Eventually(t, func() bool {
		runs, _, err := shop.List(t.Context(), host.Filter{})
		return err == nil && len(runs) == 1
	}, 30*time.Second, 10*time.Millisecond)
	runs, _, err := bank.List(t.Context(), host.Filter{})
	require.NoError(t, err)
	assert.Empty(t, runs)
	holds, err := bank.Holds(t.Context())
	require.NoError(t, err)
	assert.Empty(t, holds)
	require.NoError(t, shop.Stop(t.Context()))
	require.NoError(t, bank.Stop(t.Context()))
}
