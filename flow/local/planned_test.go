package local_test

import (
	"path/filepath"
	"sync"
	"testing"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A flow is started while the plan of its earlier runs is still being compiled.
func TestAPlanIsStartedWhileItIsRestored(t *testing.T) {
	file, err := journal.OpenSQLite(filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, err)
	defer file.Close()
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {wait: 1h}\n")
	h := openStopped(t, file, p, nil)
	old, _, err := h.Start(t.Context(), p, host.Start{})
	require.NoError(t, err)
	require.NoError(t, h.Stop(t.Context()))

	restoring := make(chan struct{})
	h, err = local.Open(t.Context(), local.Options{Journal: file, Receipts: true,
		Restore: func(string, map[string]string) (*plan.Plan, error) { close(restoring); return p, nil }})
	require.NoError(t, err)
	var both sync.WaitGroup
	both.Go(func() {
		_, err := h.Get(t.Context(), old.ID)
		assert.NoError(t, err)
	})
	<-restoring
	_, fresh, err := h.Start(t.Context(), p, host.Start{})
	require.NoError(t, err)
	assert.True(t, fresh)
	both.Wait()
	require.NoError(t, h.Stop(t.Context()))
}
