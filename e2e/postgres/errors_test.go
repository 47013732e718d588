package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e"
	"facteur/e2e/postgres"

	"github.com/stretchr/testify/require"
)

// withAddress changes parts of an address.
func withAddress(t *testing.T, address string, change func(u *url.URL, q url.Values)) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	change(u, q)
	u.RawQuery = q.Encode()
	return u.String()
}

func query(key, value string) func(*url.URL, url.Values) {
	return func(_ *url.URL, q url.Values) { q.Set(key, value) }
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	_, port, _ := strings.Cut(s.Address, ":")
	stranger := filepath.Join(t.TempDir(), "ca.pem")
	content, err := os.ReadFile(postgres.Start(t).CACert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(stranger, content, 0o600))
	tls := func(host, ca string) func(*url.URL, url.Values) {
		return func(u *url.URL, q url.Values) {
			u.Host = host + ":" + port
			q.Set("sslmode", "verify-full")
			q.Set("sslrootcert", ca)
		}
	}
	user := func(t *testing.T, address, options string) string {
		s.Exec(t, address, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'guest' "+options)
		return withAddress(t, address, func(u *url.URL, _ url.Values) { u.User = url.UserPassword("guest", "guest") })
	}
	tests := []struct {
		name      string
		address   func(t *testing.T, database string) string
		temporary bool
		message   string // after "ledger at …: "; an op that begins with "cannot"
	}{
		{"no address", func(*testing.T, string) string { return "postgres://me:of-the-test@[::1/db" }, false, "cannot open it: its address is not valid; write it as postgres://facteur@db.internal:5432/facteur?sslmode=verify-full"},
		{"nobody listens", func(t *testing.T, d string) string {
			proxy := e2e.NewProxy(t, s.Address)
			proxy.Cut()
			return withAddress(t, d, func(u *url.URL, _ url.Values) { u.Host = proxy.Address })
		}, true, "it does not answer; make sure that the server runs and can be reached from here"},
		{"no such name", func(t *testing.T, d string) string {
			return withAddress(t, d, func(u *url.URL, _ url.Values) { u.Host = "db.invalid:5432" })
		}, true, "the name db.invalid cannot be resolved; check the address"},
		{"wrong password", func(t *testing.T, d string) string {
			return withAddress(t, d, func(u *url.URL, _ url.Values) { u.User = url.UserPassword("postgres", "not-of-the-test") })
		}, false, "the user or the password was refused; check them in the address or PGPASSWORD"},
		{"no such database", func(t *testing.T, d string) string { return s.URL("nothing") }, false, `database "nothing" does not exist; create it: createdb --encoding=UTF8 nothing`},
		{"another encoding", func(t *testing.T, d string) string {
			s.Exec(t, s.URL("postgres"), "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
			return s.URL("ascii")
		}, false, "the database does not keep text as UTF8; create one with ENCODING 'UTF8'"},
		{"may not make tables", func(t *testing.T, d string) string { return user(t, d, "") }, false, "permission denied for database"},
		{"too many connections", func(t *testing.T, d string) string { return user(t, d, "CONNECTION LIMIT 0") }, true, "raise the server's max_connections, or lower pool_max_conns"},
		{"a standby", func(t *testing.T, d string) string {
			return withAddress(t, d, query("default_transaction_read_only", "on"))
		}, true, "name the primary, or all servers and target_session_attrs=read-write"},
		{"a newer schema", func(t *testing.T, d string) string {
			require.NoError(t, open(t, d, nil).Close())
			s.Exec(t, d, "INSERT INTO facteur.migrations (version) VALUES (1000)")
			return d
		}, false, fmt.Sprintf("it has schema version 1000, but this facteur only knows versions up to %d; use the newer facteur that wrote it", schemas)},
		{"tables of others", func(t *testing.T, d string) string {
			s.Exec(t, d, "CREATE TABLE public.events (id text)")
			return withAddress(t, d, query("search_path", "public"))
		}, false, `relation "events" already exists; name a schema of its own with search_path=…`},
		{"two schemas", func(t *testing.T, d string) string { return withAddress(t, d, query("search_path", "a, b")) }, false, "search_path names more than one schema"},
		{"another authority", func(t *testing.T, d string) string { return withAddress(t, d, tls("localhost", stranger)) }, false, "its certificate is not trusted, or it has none; check sslmode and sslrootcert"},
		{"another name", func(t *testing.T, d string) string { return withAddress(t, d, tls("127.0.0.1", s.CACert)) }, false, "its certificate is not trusted"},
		{"no such authority", func(t *testing.T, d string) string { return withAddress(t, d, tls("localhost", "/nowhere.pem")) }, false, "its address is not valid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ledger.OpenPostgres(t.Context(), tt.address(t, s.Database(t)), ledger.Options{})
			var e *ledger.ServerError
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, tt.message)
			require.Equal(t, tt.temporary, e.Temporary())
			require.True(t, strings.HasPrefix(err.Error(), "ledger"), err)
			require.NotContains(t, err.Error(), "of-the-test")
		})
	}
	t.Run("trusted", func(t *testing.T) {
		address := withAddress(t, s.Database(t), tls("localhost", s.CACert))
		l := open(t, address, nil)
		_, err := l.Apply(t.Context(), ledgertest.Status("wamid.1", "sent", ""))
		require.NoError(t, err)
		s.Exec(t, address, "DO $$ BEGIN ASSERT (SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'facteur'); END $$")
	})
}

// TestFailover makes another server the primary: connections to the old one, now read-only, are
// not used any more.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	address := s.Database(t)
	require.NoError(t, open(t, address, nil).Close())
	s.Exec(t, address, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
	l := open(t, address, ledgertest.Start)
	_, err := l.Apply(t.Context(), ledgertest.Status("wamid.1", "sent", ""))
	require.ErrorContains(t, err, "target_session_attrs=read-write")
	_, _, err = l.Message(t.Context(), "wamid.1") // it has a connection
	require.NoError(t, err)
	s.Exec(t, withAddress(t, address, query("default_transaction_read_only", "off")),
		"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$")
	_, err = l.Apply(t.Context(), ledgertest.Status("wamid.1", "sent", ""))
	require.NoError(t, err)
}

// TestSeparateRoles lets one role create the tables, and another use them.
func TestSeparateRoles(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	address := s.Database(t)
	require.NoError(t, open(t, address, nil).Close())
	s.Exec(t, address,
		"CREATE ROLE daemon LOGIN PASSWORD 'daemon'",
		"GRANT USAGE ON SCHEMA facteur TO daemon",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA facteur TO daemon",
		"GRANT USAGE ON ALL SEQUENCES IN SCHEMA facteur TO daemon",
	)
	daemon := withAddress(t, address, func(u *url.URL, _ url.Values) { u.User = url.UserPassword("daemon", "daemon") })
	ledgertest.Reopen(t, func(t *testing.T, _ string, now func() time.Time) ledger.Ledger { return open(t, daemon, now) })
	ledgertest.AgreeConcurrently(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, daemon, now) })
}

// TestSealed: the content of messages is stored encrypted.
func TestSealed(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	address := s.Database(t)
	flip := func(text, context []byte) ([]byte, error) {
		out := make([]byte, len(text))
		for i := range text {
			out[i] = text[i] ^ 0x55 ^ context[len(context)-1]
		}
		return out, nil
	}
	l, err := ledger.OpenPostgres(t.Context(), address, ledger.Options{Now: ledgertest.Start, Seal: flip, Open: flip})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	n := ledgertest.Message("wamid.in", "un secret")
	_, err = l.Apply(t.Context(), n)
	require.NoError(t, err)
	found, err := l.Inbound(t.Context(), "", ledgertest.Person, ledgertest.Start())
	require.NoError(t, err)
	require.Equal(t, n, found[0])
	s.Exec(t, address, "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM facteur.events WHERE position('un secret'::bytea IN body) > 0); END $$")
	_, err = open(t, address, ledgertest.Start).Inbound(t.Context(), "", ledgertest.Person, ledgertest.Start())
	require.ErrorContains(t, err, "read the content of a webhook")
}

// TestOddText stores text that PostgreSQL's text type refuses: Meta would repeat a refused
// webhook for a week.
func TestOddText(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	l := open(t, s.Database(t), ledgertest.Start)
	for i, odd := range []string{"\x00", "a\x00b", "\xff\xfe", strings.Repeat("é", 100_000), "' OR 1=1; --", "\U0010FFFF"} {
		in := ledgertest.Message(fmt.Sprint("wamid.", i, odd), odd)
		in.UserID, in.Kind = "FR."+odd, "message"
		status := ledgertest.Status(fmt.Sprint("wamid.out.", i, odd), "sent", "f1."+odd)
		status.To, status.PhoneNumberID = odd, "sender"+odd
		unknown := ledgertest.Status("", "", "")
		unknown.Kind = odd
		for range 2 {
			_, err := l.Apply(t.Context(), in, status, unknown)
			require.NoError(t, err, "%.20q", odd)
		}
		m, ok, err := l.Message(t.Context(), status.MessageID)
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, m.Statuses, 1)
		found, err := l.Inbound(t.Context(), "", in.UserID, ledgertest.Start())
		require.NoError(t, err)
		require.NotEmpty(t, found)
		claim := ledgertest.Claim("f1.call"+odd, "key"+odd)
		claim.Recipient, claim.Step = "R"+odd, odd
		for range 2 {
			_, err = l.Claim(t.Context(), claim)
			require.NoError(t, err)
		}
		_, err = l.RecordAnswer(t.Context(), ledgertest.Accepted(claim.Call, "wamid.told"+odd))
		require.NoError(t, err)
		claim.Call = "f1.another"
		repeats, err := l.Claim(t.Context(), claim)
		require.NoError(t, err)
		require.NotEmpty(t, repeats)
	}
}

// TestStalledNetwork lets the network stall.
func TestStalledNetwork(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	proxy := e2e.NewProxy(t, s.Address)
	l := open(t, withAddress(t, s.Database(t), func(u *url.URL, _ url.Values) { u.Host = proxy.Address }), nil)
	_, err := l.Apply(t.Context(), ledgertest.Status("wamid.1", "sent", ""))
	require.NoError(t, err)
	proxy.Stall()
	slow := func(op string, err error) {
		var e *ledger.ServerError
		require.ErrorAs(t, err, &e)
		require.True(t, e.Temporary())
		require.ErrorContains(t, err, op+": it does not answer in time; make sure that the server runs and can be reached from here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err = l.Message(ctx, "wamid.1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	slow("cannot read it", err)
	_, err = l.Apply(t.Context(), ledgertest.Status("wamid.2", "sent", "")) // as patient as it is
	slow("cannot store the content of a webhook", err)
	proxy.Mend()
	_, err = l.Apply(t.Context(), ledgertest.Status("wamid.2", "sent", ""))
	require.NoError(t, err)
	m, ok, err := l.Message(t.Context(), "wamid.2")
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, m.Statuses, 1)
}
