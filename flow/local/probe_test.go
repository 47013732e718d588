package local_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A call that waits for the vault is not taken up: otherwise it would be unknown if the host died
// now.
func TestCallsThatWaitForTheVaultAreNotTakenUp(t *testing.T) {
	asked, answer := make(chan struct{}, 1), make(chan error)
	var back atomic.Bool
	h := openHost(t, local.Options{Journal: &journal.Memory{},
		Ready: func(ctx context.Context, connection string) (string, error) {
			if back.Load() {
				return "1", nil
			}
			select {
			case asked <- struct{}{}:
			default:
			}
			select {
			case err := <-answer:
				return "", err
			case <-ctx.Done():
				return "", ctx.Err()
			}
		},
		Do: func(context.Context, call.Call) call.Outcome {
			return call.Outcome{Status: call.Succeeded, Output: map[string]any{"delivery": "accepted"}}
		}})
	p := testCatalog{app: "TEST"}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, connection: shop, with: {to: a}}\n")
	started, _, err := h.Start(t.Context(), p, host.Start{})
	require.NoError(t, err)
	<-asked
	r, err := h.Get(t.Context(), started.ID)
	require.NoError(t, err)
	for _, c := range r.Calls {
		assert.Zero(t, c.Taken)
	}
	answer <- errors.New("it is sealed")
	eventually(t, "the call is held", func() bool {
		holds, err := h.Holds(t.Context())
		require.NoError(t, err)
		return len(holds) == 1 && holds[0].Calls == 1 && holds[0].Reason == "it is sealed"
	})
	back.Store(true)
	eventually(t, "it goes on by itself", func() bool { return statusOf(t, h, started.ID) == machine.Succeeded })
}
