package sqlitefile_test

import (
	"path/filepath"
	"testing"

	"facteur/sqlitefile"

	"github.com/stretchr/testify/require"
)

// A backup contains everything written before, durable or not, and is a file of the same kind.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	for _, shared := range []bool{false, true} {
		f := open(t, filepath.Join(dir, "notes.db"), notes(shared))
		require.NoError(t, f.Write(t.Context(), false, 1, note("lazy")))
		copied := filepath.Join(t.TempDir(), "copy.db")
		require.NoError(t, f.Backup(t.Context(), copied))
		require.NoError(t, f.Write(t.Context(), true, 1, note("later")))
		r, err := sqlitefile.OpenReadOnly(copied, notes(false))
		require.NoError(t, err)
		n := count(t, f.Read)
		require.Equal(t, n-1, count(t, r.Read))
		require.NoError(t, r.Close())
		require.NoError(t, f.Close())
	}
}
