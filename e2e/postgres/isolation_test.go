package postgres_test

import (
	"testing"
	"time"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e/postgres"
)

// TestIsolation shares a ledger in a database with another default transaction isolation level.
func TestIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			s := postgres.Start(t)
			address := s.Database(t)
			s.Exec(t, address, "ALTER ROLE postgres SET default_transaction_isolation = '"+level+"'")
			ledgertest.AgreeConcurrently(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, address, now) })
			ledgertest.Share(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, address, now) })
		})
	}
}
