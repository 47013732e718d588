package temporal_test

import (
	"sync"
	"testing"

	"facteur/e2e/temporal"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/machine"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A queue of runs that makes the workflow of its lock continue as new several times is worked
// off to the end.
func TestLongLockQueue(t *testing.T) {
	server := temporal.Start(t)
	server.Namespace(t, "line")
	w := hosttest.NewWorld()
	h, err := facteur.Open(t.Context(), options(server.Address, "line", w))
	require.NoError(t, err)
	p := w.Compile(t, "flow: one\nconcurrency: {limit: 1}\nsteps:\n  - set: {n: 1}\n")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var runs []string
			for range 15 {
				run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{}})
				if !assert.NoError(t, err) {
					return
				}
				runs = append(runs, run.ID)
			}
			for _, run := range runs {
				r, err := h.Wait(t.Context(), run)
				if assert.NoError(t, err) {
					assert.Equal(t, machine.Succeeded, r.Status)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, h.Stop(t.Context()))
}
