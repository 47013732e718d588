package journal_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

// TestNothingStays prunes runs that share chunks, in any order: nothing is left of them, also
// of those that ended with one status and then with another.
func TestNothingStays(t *testing.T) {
	ctx := t.Context()
	j := openSQLite(t, filepath.Join(t.TempDir(), "journal.db"))
	ended := journaltest.Record(0).At
	const runs = 300
	for n := range runs {
		run := journaltest.Run(fmt.Sprint(n))
		run.Flow, run.Digest = "greet", fmt.Sprint(n%2)
		c := journal.Change{Status: "succeeded", Ended: ended.Add(time.Duration(n%3) * time.Minute), Recipients: []string{"anna"}}
		require.NoError(t, j.Create(ctx, run, c))
	}
	require.NoError(t, j.Flush())
	count := func(table string) string {
		n, err := j.Exec("SELECT count(*) FROM " + table)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, "10", count("endings"))
	for n := 7; n < runs; n += 50 {
		require.NoError(t, j.Write(ctx, fmt.Sprint(n), true, journal.Change{Status: "running"}))
		require.NoError(t, j.Flush())
		require.NoError(t, j.Write(ctx, fmt.Sprint(n), true, journal.Change{Status: "failed", Ended: ended, Recipients: []string{"anna"}}))
	}
	found, err := j.List(ctx, journal.Filter{Recipient: "anna", Limit: -1})
	require.NoError(t, err)
	require.Len(t, found, runs, "each once")
	require.NoError(t, j.Create(ctx, journaltest.Run("last"), journal.Change{}), "which stays")
	for later := range 3 {
		_, err := j.Prune(ctx, ended.Add(time.Duration(later)*time.Minute+time.Second), ended.Add(time.Duration(later)*time.Minute+time.Second), 1000)
		require.NoError(t, err)
	}
	require.Equal(t, "1", count("runs"))
	require.Equal(t, "1", count("plans"))
	require.Equal(t, "0", count("endings"))
	require.Equal(t, "0", count("mailings"))
}
