package journal_test

import (
	"path/filepath"
	"strings"
	"testing"

	"facteur/flow/journal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
)

// TestIndexes: what a query costs does not grow with what is stored, only with what it
// returns. Unfinished and Open read all of the few that are open, in their order.
func TestIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, openSQLite(t, path).Close())
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	require.NoError(t, err)
	defer conn.Close()
	for _, query := range journal.Queries() {
		plan, _, err := conn.PrepareTransient("EXPLAIN QUERY PLAN " + query)
		require.NoError(t, err)
		for {
			more, err := plan.Step()
			require.NoError(t, err)
			if !more {
				break
			}
			step := plan.ColumnText(3)
			small := step == "SCAN open" || strings.HasPrefix(step, "SCAN events USING INDEX events_open")
			assert.True(t, small || !strings.HasPrefix(step, "SCAN"), "%s: %s", query, step)
			sorted := query == journal.SelectEvents // which are few
			assert.True(t, sorted || !strings.Contains(step, "TEMP B-TREE"), "%s: %s", query, step)
		}
		require.NoError(t, plan.Finalize())
	}
}
