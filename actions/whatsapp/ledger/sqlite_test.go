package ledger_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
)

func TestSQLite(t *testing.T) {
	open := func(t *testing.T, dir string, now func() time.Time) ledger.Ledger {
		return openSQLite(t, filepath.Join(dir, "ledger.db"), now)
	}
	t.Run("exercise", func(t *testing.T) {
		ledgertest.Exercise(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, t.TempDir(), now) })
	})
	t.Run("reopen", func(t *testing.T) { ledgertest.Reopen(t, open) })
	t.Run("share", func(t *testing.T) {
		dir := t.TempDir()
		ledgertest.Share(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, dir, now) })
	})
}

func openSQLite(t testing.TB, path string, now func() time.Time) *ledger.SQLite {
	t.Helper()
	l, err := ledger.OpenSQLite(path, ledger.Options{Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}
