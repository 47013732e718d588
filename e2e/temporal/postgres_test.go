package temporal_test

import (
	"testing"

	"facteur/e2e/postgres"
	"facteur/e2e/temporal"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	facteur "facteur/flow/temporal"

	"github.com/stretchr/testify/require"
)

// Runs also work on a server over PostgreSQL with several history shards.
func TestPostgresPersistence(t *testing.T) {
	server := temporal.StartOnPostgres(t, postgres.Start(t), 4)
	server.Namespace(t, "over")
	w := hosttest.NewWorld()
	h, err := facteur.Open(t.Context(), options(server.Address, "over", w))
	require.NoError(t, err)
	p := w.Compile(t, "flow: send\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n")
	for range 20 {
		run, _, err := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"to": "somebody"}, By: "test"})
		require.NoError(t, err)
		_, err = h.Wait(t.Context(), run.ID)
		require.NoError(t, err)
	}
	require.NoError(t, h.Stop(t.Context()))
}
