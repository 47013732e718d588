package ledger_test

import (
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// database is the address of one in which the tests may make schemas.
const database = "FACTEUR_TEST_POSTGRES"

// TestPostgres needs a server: the module e2e brings its own, and tests more.
func TestPostgres(t *testing.T) {
	if os.Getenv(database) == "" {
		t.Skip("there is no server: set " + database + " to the address of a database, or run the tests of e2e/postgres")
	}
	open := func(t *testing.T, address string, now func() time.Time) ledger.Ledger {
		l, err := ledger.OpenPostgres(t.Context(), address, ledger.Options{Now: now})
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	t.Run("exercise", func(t *testing.T) {
		ledgertest.Exercise(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, schema(t), now) })
	})
	t.Run("reopen", func(t *testing.T) {
		address := schema(t)
		ledgertest.Reopen(t, func(t *testing.T, _ string, now func() time.Time) ledger.Ledger { return open(t, address, now) })
	})
	t.Run("share", func(t *testing.T) {
		address := schema(t)
		ledgertest.Share(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, address, now) })
	})
	t.Run("together", func(t *testing.T) {
		address := schema(t)
		ledgertest.AgreeConcurrently(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, address, now) })
	})
	t.Run("agree", func(t *testing.T) {
		ledgertest.Agree(t, 2000, func(t *testing.T, now func() time.Time) (one, other ledger.Ledger) {
			return &ledger.Memory{Options: ledger.Options{Now: now}}, open(t, schema(t), now)
		})
	})
}

// schema returns the address of an empty one, which is gone after the test.
func schema(t *testing.T) string {
	u, err := url.Parse(os.Getenv(database))
	require.NoError(t, err)
	name := "test_" + strings.ToLower(rand.Text())
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	t.Cleanup(func() {
		conn, err := pgx.Connect(t.Context(), u.String())
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "DROP SCHEMA IF EXISTS "+name+" CASCADE")
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	})
	return u.String()
}
