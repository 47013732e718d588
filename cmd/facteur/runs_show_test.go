package main

import (
	"strings"
	"testing"
	"time"

	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// `runs show` of a run with an unknown outcome says why, and abbreviates its inputs.
func TestRunsShowSaysWhyItIsUnknown(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	inputs := map[string]any{"phone": "+33536490022", "name": strings.Repeat("much ", 100) + "too much"}
	started, err := r.client.Start(t.Context(), "hello", server.StartRequest{Inputs: inputs}, server.StartOption{})
	require.NoError(t, err)
	var stdout string
	require.Eventually(t, func() bool {
		_, stdout, _ = facteur(t, dir, "", "runs", "show", started.RunID)
		return strings.Contains(stdout, "outcome unknown")
	}, 10*time.Second, 5*time.Millisecond)
	assert.Regexp(t, `attempt 1  unknown: the connection to \S+ broke before an answer came`, stdout)
	assert.Regexp(t, `name: much .*… \(--json prints all\)`, stdout)
	assert.NotContains(t, stdout, "too much")
	_, stdout, _ = facteur(t, dir, "", "runs", "show", started.RunID, "--json")
	assert.Contains(t, stdout, "too much")
}
