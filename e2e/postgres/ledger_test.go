package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/e2e/postgres"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func open(t testing.TB, address string, now func() time.Time) *ledger.Postgres {
	t.Helper()
	l, err := ledger.OpenPostgres(t.Context(), address, ledger.Options{Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLedger(t *testing.T) {
	t.Parallel()
	s := postgres.Start(t)
	t.Run("exercise", func(t *testing.T) {
		ledgertest.Exercise(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, s.Database(t), now) })
	})
	t.Run("reopen", func(t *testing.T) {
		databases := map[string]string{}
		ledgertest.Reopen(t, func(t *testing.T, dir string, now func() time.Time) ledger.Ledger {
			if databases[dir] == "" {
				databases[dir] = s.Database(t)
			}
			return open(t, databases[dir], now)
		})
	})
	t.Run("share", func(t *testing.T) {
		address := s.Database(t)
		ledgertest.Share(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, address, now) })
	})
	t.Run("together", func(t *testing.T) {
		address := s.Database(t)
		ledgertest.AgreeConcurrently(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, address, now) })
	})
	t.Run("agree", func(t *testing.T) {
		ledgertest.Agree(t, 1000, func(t *testing.T, now func() time.Time) (one, other ledger.Ledger) {
			return &ledger.Memory{Options: ledger.Options{Now: now}}, open(t, s.Database(t), now)
		})
	})
	t.Run("reversed", func(t *testing.T) {
		l := open(t, s.Database(t), time.Now)
		var all sync.WaitGroup
		for n := range 200 {
			webhook := []inbound.Notification{ledgertest.Message(fmt.Sprint("wamid.", n), "oui"), ledgertest.Preference("stop", time.Unix(int64(n), 0))}
			if n%2 == 1 {
				slices.Reverse(webhook)
			}
			all.Go(func() {
				_, err := l.Apply(t.Context(), webhook...)
				assert.NoError(t, err)
			})
		}
		all.Wait()
	})
	require.NotContains(t, s.Log(t), "deadlock", "who stores at the same time takes turns")
}

// openWithKey opens a ledger that is sealed with a key.
func openWithKey(t *testing.T, address, key string) (*ledger.Postgres, error) {
	return ledger.OpenPostgres(t.Context(), address, ledger.Options{
		Seal: func(text, _ []byte) ([]byte, error) { return append([]byte(key), text...), nil },
		Open: func(sealed, _ []byte) ([]byte, error) {
			text, ok := bytes.CutPrefix(sealed, []byte(key))
			if !ok {
				return nil, errors.New("it was sealed with another key")
			}
			return text, nil
		},
	})
}

// TestKeys opens a ledger with the key that sealed its content, and with another.
func TestKeys(t *testing.T) {
	t.Parallel()
	address := postgres.Start(t).Database(t)
	with := func(key string) error {
		l, err := openWithKey(t, address, key)
		if err != nil {
			return err
		}
		defer l.Close()
		_, err = l.Apply(t.Context(), ledgertest.Status("wamid."+key, "sent", "f1."+key))
		return err
	}
	require.NoError(t, with("ours"))
	require.NoError(t, with("ours"))
	err := with("another")
	require.ErrorAs(t, err, new(*ledger.KeyError))
	require.ErrorContains(t, err, "it was sealed with another key")
	require.NoError(t, with("ours"))
}

// TestKeysAtOnce opens an empty ledger with several keys at the same time: only one key may win,
// because the others could not read what it seals.
func TestKeysAtOnce(t *testing.T) {
	t.Parallel()
	address := postgres.Start(t).Database(t)
	require.NoError(t, open(t, address, nil).Close())
	var all sync.WaitGroup
	refused := make([]error, 8)
	for i := range refused {
		all.Go(func() {
			l, err := openWithKey(t, address, fmt.Sprint("key ", i))
			if refused[i] = err; err == nil {
				refused[i] = l.Close()
			}
		})
	}
	all.Wait()
	opened := slices.DeleteFunc(slices.Clone(refused), func(err error) bool { return err != nil })
	require.Len(t, opened, 1, "%v", refused)
	for _, err := range refused {
		if err != nil {
			require.ErrorAs(t, err, new(*ledger.KeyError))
		}
	}
}

// TestDocumentedWebhooks stores every webhook that Meta documents.
func TestDocumentedWebhooks(t *testing.T) {
	t.Parallel()
	ledgertest.ExampleWebhooks(t, "../../testdata/webhooks", open(t, postgres.Start(t).URL("postgres"), ledgertest.Start))
}
