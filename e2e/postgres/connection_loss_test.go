package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e"
	"facteur/e2e/postgres"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRoundTrips counts the network chunks of each operation, in both directions.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	proxy := e2e.NewProxy(t, s.Address)
	l := open(t, withAddress(t, s.Database(t), func(u *url.URL, _ url.Values) { u.Host = proxy.Address }), ledgertest.Start)
	n := 0
	named := func(wamid string) inbound.Notification {
		status := ledgertest.Status(wamid, "sent", "f1."+wamid)
		status.UserID = "FR.1"
		return status
	}
	tests := []struct {
		name  string
		trips int
		do    func(id string) error
	}{
		{"a status", 1, func(id string) error {
			_, err := l.Apply(t.Context(), ledgertest.Status("wamid."+id, "sent", "f1."+id))
			return err
		}},
		{"a status of somebody with two ids", 2, func(id string) error {
			_, err := l.Apply(t.Context(), named(id))
			return err
		}},
		{"ten statuses", 1, func(id string) error {
			var all []inbound.Notification
			for i := range 10 {
				all = append(all, ledgertest.Status(fmt.Sprint(id, i), "sent", ""))
			}
			_, err := l.Apply(t.Context(), all...)
			return err
		}},
		{"a message", 2, func(id string) error {
			_, err := l.Apply(t.Context(), ledgertest.Message(id, "oui"))
			return err
		}},
		{"a claim", 1, func(id string) error { _, err := l.Claim(t.Context(), ledgertest.Claim("f1."+id, id)); return err }},
		{"a claim that counts already", 3, func(id string) error { _, err := l.Claim(t.Context(), ledgertest.Claim("f1.", "the same")); return err }},
		{"an answer", 1, func(id string) error {
			_, err := l.RecordAnswer(t.Context(), ledgertest.Accepted("f1."+id, "wamid."+id))
			return err
		}},
		{"a refusal", 1, func(id string) error {
			_, err := l.RecordAnswer(t.Context(), ledgertest.Accepted("f1."+id, ""))
			return err
		}},
		{"a window", 1, func(string) error { _, err := l.Window(t.Context(), ledgertest.Sender, ledgertest.Person); return err }},
		{"a message that was sent", 1, func(id string) error { _, _, err := l.Message(t.Context(), id); return err }},
	}
	for _, tt := range tests {
		var fewest int
		for range 5 { // statements are prepared at first; an idle connection is asked whether it lives
			before := proxy.Passed()
			n++
			require.NoError(t, tt.do(fmt.Sprint(n)), tt.name)
			if passed := proxy.Passed() - before; fewest == 0 || passed < fewest {
				fewest = passed
			}
		}
		require.LessOrEqual(t, fewest, 2*tt.trips, tt.name)
	}
}

// TestCutEveryWrite cuts the connection at every point of every write: either all of it is
// stored or nothing, and the retry stores it.
func TestCutEveryWrite(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	proxy := e2e.NewProxy(t, s.Address)
	byID := ledgertest.Message("wamid.in.id", "deux")
	byID.WaID, byID.From, byID.UserID = "", "FR.1", "FR.1"
	joined := ledgertest.Message("wamid.in", "oui")
	joined.UserID = "FR.1"
	webhook := []inbound.Notification{ledgertest.Status("wamid.1", "failed", ""), joined, ledgertest.Preference("stop", ledgertest.Start()), ledgertest.Status("wamid.2", "sent", "f1.b.1")}
	shut := ledgertest.Accepted("f1.c.1", "wamid.1")
	shut.Shut = true

	// looks returns everything that the writes change; it must be the state before or after.
	looks := func(l ledger.Ledger) string {
		m1, _, err := l.Message(t.Context(), "wamid.1")
		require.NoError(t, err)
		m2, _, err := l.Message(t.Context(), "wamid.2")
		require.NoError(t, err)
		w, err := l.Window(t.Context(), ledgertest.Sender, ledgertest.Person)
		require.NoError(t, err)
		out, err := l.OptedOut(t.Context(), ledgertest.Sender, "FR.1")
		require.NoError(t, err)
		names, err := l.Contact(t.Context(), "FR.1")
		require.NoError(t, err)
		in, err := l.Inbound(t.Context(), "", "FR.1", ledgertest.Start())
		require.NoError(t, err)
		return fmt.Sprintln(m1, m2, w, out, names, len(in))
	}
	tests := []struct {
		name string
		do   func(l ledger.Ledger) error
	}{
		{"a webhook", func(l ledger.Ledger) error { _, err := l.Apply(t.Context(), webhook...); return err }},
		{"an answer", func(l ledger.Ledger) error { _, err := l.RecordAnswer(t.Context(), shut); return err }},
		{"a claim", func(l ledger.Ledger) error {
			_, err := l.Claim(t.Context(), ledgertest.Claim("f1.d.1", "k"))
			return err
		}},
		{"a release", func(l ledger.Ledger) error { return l.Release(t.Context(), "f1.d.0") }},
		{"pruning", func(l ledger.Ledger) error {
			_, err := l.Prune(t.Context(), ledgertest.Start().Add(time.Hour), 100)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			failed := 0
			for pieces := 0; ; pieces++ {
				require.Less(t, pieces, 200)
				address := s.Database(t)
				direct := open(t, address, ledgertest.Start)
				_, err := direct.Apply(t.Context(), byID)
				require.NoError(t, err)
				_, err = direct.Claim(t.Context(), ledgertest.Claim("f1.d.0", "before"))
				require.NoError(t, err)
				before := looks(direct)

				l := open(t, withAddress(t, address, func(u *url.URL, _ url.Values) { u.Host = proxy.Address }), ledgertest.Start)
				proxy.CutAfter(pieces)
				err = tt.do(l)
				cut := err != nil
				if cut {
					failed++
					var e *ledger.ServerError
					require.ErrorAs(t, err, &e)
					require.True(t, e.Temporary(), "%v", err)
				}
				proxy.Mend()
				halfway := looks(direct)
				require.NoError(t, tt.do(l), "after %v", err)
				after := looks(direct)
				require.Contains(t, []string{before, after}, halfway)
				require.NoError(t, l.Close())
				require.NoError(t, direct.Close())
				if !cut {
					break
				}
			}
			t.Logf("cut at %d points", failed)
		})
	}
}

// TestTerminated terminates connections all the time while several ledgers are used.
func TestTerminated(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	for range 3 {
		address := s.Database(t)
		require.NoError(t, open(t, address, nil).Close())
		stop := terminate(t, s)
		ledgertest.AgreeConcurrently(t, func(t *testing.T, now func() time.Time) ledger.Ledger {
			var l *ledger.Postgres
			require.NoError(t, retry(func() (err error) {
				l, err = ledger.OpenPostgres(t.Context(), address, ledger.Options{Now: now})
				return err
			}))
			return retrying{l}
		})
		stop()
	}
}

// terminate terminates a random connection of a ledger every few milliseconds.
func terminate(t *testing.T, s *postgres.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var killer sync.WaitGroup
	killer.Go(func() {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close(context.Background())
		for every := time.Tick(10 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				return
			case <-every:
				_, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'facteur' ORDER BY random() LIMIT 1")
				assert.True(t, err == nil || ctx.Err() != nil, "%v", err)
			}
		}
	})
	return func() {
		cancel()
		killer.Wait()
	}
}

// TestCrash crashes the server during writes: what was acknowledged is there after its restart,
// and the ledgers reconnect by themselves.
func TestCrash(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	address := s.Database(t)
	acked := map[string]string{}
	var mu sync.Mutex
	var stop atomic.Bool
	var work sync.WaitGroup
	for range 2 {
		l := open(t, address, nil)
		work.Go(func() {
			ledgertest.WriteRandom(retrying{l}, func() bool { return !stop.Load() }, func(kind, id string) {
				mu.Lock()
				defer mu.Unlock()
				acked[id] = kind
			})
		})
	}
	for round := range 3 {
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acked) > 500*(round+1)
		}, time.Minute, time.Millisecond)
		s.Crash(t)
		s.Restart(t)
	}
	stop.Store(true)
	work.Wait()
	ledgertest.CheckWritten(t, open(t, address, nil), acked)
	t.Logf("%d sends were acknowledged", len(acked))
}

// TestWriterProcess is not a test but the process that TestKill starts and kills.
func TestWriterProcess(t *testing.T) {
	ledgertest.WriterProcess(t, func(address string) (ledger.Ledger, error) {
		l, err := ledger.OpenPostgres(t.Context(), address, ledger.Options{})
		return retrying{l}, err
	})
}

// TestKill kills processes that share the ledger: what was acknowledged to them is there, and
// the others are not delayed.
func TestKill(t *testing.T) {
	t.Parallel()
	address := postgres.Start(t).Database(t)
	ledgertest.Killed(t, address, open(t, address, nil))
}
