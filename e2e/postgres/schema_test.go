package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e/postgres"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables of the newest schema to testdata, if they are not there")

// schemas is the number of schema versions so far.
const schemas = 2

// TestOldSchemas opens a ledger of each schema that was ever released.
func TestOldSchemas(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	newest := fmt.Sprintf("testdata/schema%d.sql", schemas)
	if _, err := os.Stat(newest); *update && err != nil {
		address := s.Database(t)
		l := open(t, address, ledgertest.Start)
		ledgertest.WriteOld(t, l)
		require.NoError(t, l.Close())
		require.NoError(t, os.WriteFile(newest, s.Dump(t, address), 0o644))
	}
	require.FileExists(t, newest, "run the test with -update")
	files, err := filepath.Glob("testdata/schema*.sql")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			require.NoError(t, err)
			address := s.Database(t)
			s.Exec(t, address, string(script))
			l := open(t, address, ledgertest.Start)
			ledgertest.HoldsOld(t, l)
			found, err := l.Inbound(t.Context(), "", "FR.1", ledgertest.Start())
			require.NoError(t, err)
			require.Len(t, found, 1)
			s.Exec(t, address, fmt.Sprintf("DO $$ BEGIN ASSERT (SELECT max(version) = %d FROM facteur.migrations); END $$", schemas))
		})
	}
}
