package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e/postgres"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestPlans counts the rows read from large tables without planner statistics: every operation
// reads only a few.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	address := s.Database(t)
	require.NoError(t, open(t, address, nil).Close())
	now := ledgertest.Start().UnixNano()
	for _, table := range []string{"contacts", "aliases", "events", "inbound", "messages", "windows", "preferences", "claims"} {
		s.Exec(t, address, "ALTER TABLE facteur."+table+" SET (autovacuum_enabled = off)")
	}
	for _, sql := range []string{
		"INSERT INTO facteur.contacts SELECT g FROM generate_series(1, 50000) g",
		"INSERT INTO facteur.aliases SELECT '336' || lpad(g::text, 8, '0'), g FROM generate_series(1, 50000) g",
		"INSERT INTO facteur.aliases SELECT 'FR.' || g, g FROM generate_series(1, 50000) g WHERE g > 2",
		"INSERT INTO facteur.contacts VALUES (50001), (50002)",
		"INSERT INTO facteur.aliases VALUES ('FR.1', 50001), ('FR.2', 50002)",
		"INSERT INTO facteur.events SELECT nextval('facteur.arrivals'), md5(g::text)::uuid, 'status', 'wamid.' || g, 's', $1::bigint + g, $1 + g, '{}' FROM generate_series(1, 100000) g",
		"INSERT INTO facteur.inbound SELECT g, g / 2 + 1, 's', $1::bigint + g, $1 + g FROM generate_series(1, 99998) g",
		"INSERT INTO facteur.messages SELECT 'wamid.' || g, 'f1.run' || g || '.1', 's', '336', 2, $1::bigint + g, $1 + g, $1 + g FROM generate_series(1, 100000) g",
		"INSERT INTO facteur.windows SELECT g, 's', $1::bigint, 0 FROM generate_series(1, 50002) g",
		"INSERT INTO facteur.preferences SELECT g, 's', true, $1::bigint FROM generate_series(1, 50002) g",
		"INSERT INTO facteur.claims SELECT g, 'k', 'f1.run' || g || '.1', 'step', $1::bigint, $1 + 1000000 FROM generate_series(1, 50000) g",
	} {
		s.Exec(t, address, strings.ReplaceAll(sql, "$1", fmt.Sprint(now)))
	}
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(t.Context()) })
	// A connection's statistics are complete when it is closed.
	settle := func() {
		require.Eventually(t, func() bool {
			var others int
			err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&others)
			return err == nil && others == 0
		}, time.Minute, time.Millisecond)
	}
	read := func() (rows int) {
		settle()
		err := conn.QueryRow(t.Context(), `
			SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'facteur')
				+ (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'facteur' AND relname <> 'migrations')`).Scan(&rows)
		require.NoError(t, err)
		return rows
	}
	of := func(n inbound.Notification, waID, userID string) inbound.Notification {
		n.WaID, n.UserID, n.PhoneNumberID = waID, userID, "s"
		return n
	}
	claim := ledgertest.Claim("f1.new.1", "k")
	claim.Recipient = "33600004000"
	tests := []struct {
		name string
		do   func(l ledger.Ledger) error
	}{
		{"a status", func(l ledger.Ledger) error {
			_, err := l.Apply(t.Context(), of(ledgertest.Status("wamid.7", "read", ""), "33600000007", ""))
			return err
		}},
		{"a status of somebody with two ids", func(l ledger.Ledger) error {
			_, err := l.Apply(t.Context(), of(ledgertest.Status("wamid.8", "read", ""), "33600000008", "FR.8"))
			return err
		}},
		{"a message", func(l ledger.Ledger) error {
			_, err := l.Apply(t.Context(), of(ledgertest.Message("wamid.in", "oui"), "33600000009", "FR.9"))
			return err
		}},
		{"a message that joins two", func(l ledger.Ledger) error {
			_, err := l.Apply(t.Context(), of(ledgertest.Message("wamid.join", "oui"), "33600000001", "FR.1"))
			return err
		}},
		{"a preference", func(l ledger.Ledger) error {
			_, err := l.Apply(t.Context(), of(ledgertest.Preference("stop", ledgertest.Start().Add(time.Hour)), "33600000010", ""))
			return err
		}},
		{"an answer", func(l ledger.Ledger) error {
			_, err := l.RecordAnswer(t.Context(), ledgertest.Accepted("f1.run9.2", "wamid.new"))
			return err
		}},
		{"a refusal", func(l ledger.Ledger) error {
			_, err := l.RecordAnswer(t.Context(), ledgertest.Accepted("f1.run3000.1", ""))
			return err
		}},
		{"a claim", func(l ledger.Ledger) error {
			c := claim
			c.Key = "another"
			_, err := l.Claim(t.Context(), c)
			return err
		}},
		{"a claim that counts already", func(l ledger.Ledger) error { _, err := l.Claim(t.Context(), claim); return err }},
		{"giving up a claim", func(l ledger.Ledger) error { return l.Release(t.Context(), "f1.run5000.1") }},
		{"a claim that was given up", func(l ledger.Ledger) error {
			c := claim
			c.Recipient, c.Call = "33600005000", "f1.new.2"
			repeats, err := l.Claim(t.Context(), c)
			require.Equal(t, "wamid.5000", repeats)
			return err
		}},
		{"late news of it", func(l ledger.Ledger) error {
			_, err := l.Apply(t.Context(), of(ledgertest.Status("wamid.late", "sent", "f1.run5000.1"), "33600005000", ""))
			return err
		}},
		{"a message that was sent", func(l ledger.Ledger) error { _, _, err := l.Message(t.Context(), "wamid.100"); return err }},
		{"receipts", func(l ledger.Ledger) error { _, err := l.Receipts(t.Context(), time.Time{}, "f1.run50.1"); return err }},
		{"messages of a contact", func(l ledger.Ledger) error {
			_, err := l.Inbound(t.Context(), "s", "33600000020", ledgertest.Start().Add(time.Hour))
			return err
		}},
		{"a contact", func(l ledger.Ledger) error { _, err := l.Contact(t.Context(), "FR.30"); return err }},
		{"a window", func(l ledger.Ledger) error { _, err := l.Window(t.Context(), "s", "FR.31"); return err }},
		{"a preference that is known", func(l ledger.Ledger) error { _, err := l.OptedOut(t.Context(), "s", "FR.32"); return err }},
		{"pruning nothing", func(l ledger.Ledger) error {
			_, err := l.Prune(t.Context(), ledgertest.Start().Add(-time.Hour), 10)
			return err
		}},
		{"pruning ten of each", func(l ledger.Ledger) error {
			n, err := l.Prune(t.Context(), ledgertest.Start().Add(time.Hour), 10)
			require.Equal(t, 30, n)
			return err
		}},
	}
	for _, tt := range tests {
		before := read()
		l := open(t, address, ledgertest.Start)
		if err := tt.do(l); err != nil {
			require.ErrorAs(t, err, new(*whatsapp.UnsettledError), tt.name)
		}
		require.NoError(t, l.Close())
		rows := read() - before
		t.Logf("%s: %d rows", tt.name, rows)
		require.Less(t, rows, 200, tt.name)
	}
}
