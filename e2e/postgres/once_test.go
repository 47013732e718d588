package postgres_test

import (
	"context"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e/postgres"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A claim that waits while its contact is joined with another one sees the claims of that one,
// also if nobody holds the key now.
func TestOnceWhileContactsAreJoined(t *testing.T) {
	t.Parallel()
	address := postgres.Start(t).Database(t)
	l := open(t, address, ledgertest.Start)
	of := func(call, recipient string) whatsapp.Claim {
		return whatsapp.Claim{Call: call, Step: "f1.a.1", Sender: "1", Recipient: recipient, Key: "order 7", Within: time.Hour}
	}
	const one, other = "33600000001", "FR.2"
	for _, claim := range []whatsapp.Claim{of("f1.a.1", other), of("f1.a.2", other), {Call: "f1.b.1", Sender: "1", Recipient: one, Key: "another", Within: time.Hour}} {
		repeats, err := l.Claim(t.Context(), claim)
		require.NoError(t, err)
		require.Empty(t, repeats)
	}
	_, err := l.RecordAnswer(t.Context(), whatsapp.Answer{Call: "f1.a.2", Sender: "1", Recipient: other, State: "failed"})
	require.NoError(t, err)
	_, err = l.Apply(t.Context(), ledgertest.Status("wamid.A", "sent", "f1.a.1"))
	require.NoError(t, err)

	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	conn, look := connect(), connect()
	waiting := func(n int) {
		require.Eventually(t, func() bool {
			var many int
			err := look.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&many)
			return err == nil && many == n
		}, 30*time.Second, 5*time.Millisecond)
	}
	_, err = conn.Exec(t.Context(), "SET search_path TO facteur")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT FROM aliases WHERE id = $1 FOR UPDATE", other)
	require.NoError(t, err)
	joined := make(chan error, 1)
	go func() {
		both := ledgertest.Status("wamid.B", "sent", "f1.c.1")
		both.WaID, both.UserID = one, other
		_, err := l.Apply(t.Context(), both)
		joined <- err
	}()
	waiting(1)
	type claimed struct {
		repeats string
		err     error
	}
	told := make(chan claimed, 1)
	go func() {
		repeats, err := l.Claim(t.Context(), whatsapp.Claim{Call: "f1.d.1", Step: "f1.d.1", Sender: "1", Recipient: one, Key: "order 7", Within: time.Hour})
		told <- claimed{repeats, err}
	}()
	waiting(2)
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, <-joined)
	assert.Equal(t, claimed{repeats: "wamid.A"}, <-told)
}
