package journal_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"
)

func TestSQLite(t *testing.T) {
	open := func(t *testing.T, dir string) journal.Journal {
		return openSQLite(t, filepath.Join(dir, "journal.db"))
	}
	t.Run("exercise", func(t *testing.T) {
		journaltest.Exercise(t, func(t *testing.T) journal.Journal { return open(t, t.TempDir()) })
	})
	t.Run("reopen", func(t *testing.T) { journaltest.Reopen(t, open) })
}

func openSQLite(t testing.TB, path string) *journal.SQLite {
	t.Helper()
	j, err := journal.OpenSQLite(path)
	require.NoError(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}
