package ledger_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"
	"facteur/flow/call"
	"facteur/sqlitefile"

	"github.com/stretchr/testify/require"
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
	t.Run("together", func(t *testing.T) {
		dir := t.TempDir()
		ledgertest.AgreeConcurrently(t, func(t *testing.T, now func() time.Time) ledger.Ledger { return open(t, dir, now) })
	})
	t.Run("agree", func(t *testing.T) {
		ledgertest.Agree(t, 2000, func(t *testing.T, now func() time.Time) (one, other ledger.Ledger) {
			return &ledger.Memory{Options: ledger.Options{Now: now}}, open(t, t.TempDir(), now)
		})
	})
}

func openSQLite(t testing.TB, path string, now func() time.Time) *ledger.SQLite {
	t.Helper()
	l, err := ledger.OpenSQLite(path, ledger.Options{Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// TestSealed stores what people wrote so that only who has the key can read it, in its
// place.
func TestSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	flip := func(text, context []byte) []byte {
		out := bytes.Clone(text)
		for i := range out {
			out[i] ^= 0x55 ^ context[len(context)-1]
		}
		return out
	}
	l, err := ledger.OpenSQLite(path, ledger.Options{
		Now:  ledgertest.Start,
		Seal: func(plain, context []byte) ([]byte, error) { return flip(plain, context), nil },
		Open: func(sealed, context []byte) ([]byte, error) { return flip(sealed, context), nil },
	})
	require.NoError(t, err)
	n := ledgertest.Message("wamid.in", "un secret")
	_, err = l.Apply(t.Context(), n)
	require.NoError(t, err)
	found, err := l.Inbound(t.Context(), "", ledgertest.Person, ledgertest.Start())
	require.NoError(t, err)
	require.Equal(t, []inbound.Notification{n}, found)
	require.NoError(t, l.Close())
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(file), "un secret")

	_, err = openSQLite(t, path, ledgertest.Start).Inbound(t.Context(), "", ledgertest.Person, ledgertest.Start())
	require.ErrorContains(t, err, "read the content of a webhook")
}

// TestDocumentedWebhooks stores all that Meta documents.
func TestDocumentedWebhooks(t *testing.T) {
	ledgertest.ExampleWebhooks(t, "../../../testdata/webhooks", openSQLite(t, filepath.Join(t.TempDir(), "ledger.db"), ledgertest.Start))
}

// TestDiskFails lets writing fail in the middle: nothing is acknowledged any more, and what
// was is there.
func TestDiskFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := openSQLite(t, path, nil)
	stored := 0
	_, err := l.Apply(t.Context(), ledgertest.Status("0", "sent", "f1.a.1"))
	require.NoError(t, err)
	require.NoError(t, l.Exec("PRAGMA max_page_count = 60"))
	for err == nil {
		stored++
		require.Less(t, stored, 10_000, "it never fails")
		_, err = l.Apply(t.Context(), ledgertest.Status(fmt.Sprint(stored), "sent", "f1.a.1"))
	}
	want := "ledger " + path + ": cannot write it: the disk is full; free some space and start again"
	var disk *ledger.DiskError
	require.ErrorAs(t, err, &disk)
	require.ErrorContains(t, err, want)
	_, err = l.Claim(t.Context(), ledgertest.Claim("f1.a.1", "k"))
	require.ErrorContains(t, err, want)
	_, err = l.RecordAnswer(t.Context(), ledgertest.Accepted("f1.a.1", "wamid.1"))
	require.ErrorContains(t, err, want)
	found, err := l.Receipts(t.Context(), time.Time{}, "f1.a.1")
	require.NoError(t, err, "reading goes on")
	require.Len(t, found, stored)
	require.ErrorContains(t, l.Close(), want)
	found, err = openSQLite(t, path, nil).Receipts(t.Context(), time.Time{}, "f1.a.1")
	require.NoError(t, err)
	require.Len(t, found, stored)
}

// Who does not wait is told of receipts all the same, once; what is told is stored in order.
func TestTell(t *testing.T) {
	l := openSQLite(t, filepath.Join(t.TempDir(), "ledger.db"), nil)
	_, err := l.Apply(t.Context(), ledgertest.Status("wamid.1", "failed", ""))
	require.NoError(t, err)
	told := make(chan call.Receipt, 4)
	receive := func(r call.Receipt) { told <- r }
	require.NoError(t, l.RecordAnswerAsync(t.Context(), ledgertest.Accepted("f1.a.1", "wamid.1"), receive))
	r := <-told
	require.Equal(t, "f1.a.1", r.Key)
	require.Equal(t, "failed", r.State)
	require.NoError(t, l.RecordAnswerAsync(t.Context(), ledgertest.Accepted("f1.a.1", "wamid.1"), receive))
	require.NoError(t, l.RecordAnswerAsync(t.Context(), ledgertest.Accepted("f1.b.1", "wamid.2"), receive))
	m, ok, err := l.Message(t.Context(), "wamid.2")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "f1.b.1", m.Call)
	require.NoError(t, l.Close())
	require.Empty(t, told)
}

// Many answers of one transaction are stored together, whatever is known of some of them.
func TestTellMany(t *testing.T) {
	l := openSQLite(t, filepath.Join(t.TempDir(), "ledger.db"), nil)
	const many = 200
	told := make(chan string, many)
	receive := func(r call.Receipt) { told <- r.Key }
	overtaken := map[string]bool{}
	for n := range many {
		if n%70 == 3 { // some of 32 that are stored at once, none of others
			_, err := l.Apply(t.Context(), ledgertest.Status(fmt.Sprint("wamid.", n), "failed", ""))
			require.NoError(t, err)
			overtaken[fmt.Sprintf("f1.%d.1", n)] = true
		}
	}
	for n := range many {
		a := ledgertest.Accepted(fmt.Sprintf("f1.%d.1", n), fmt.Sprint("wamid.", n))
		require.NoError(t, l.RecordAnswerAsync(t.Context(), a, receive))
		if n%50 == 0 {
			require.NoError(t, l.RecordAnswerAsync(t.Context(), a, receive), "twice")
		}
	}
	for n := range many {
		m, ok, err := l.Message(t.Context(), fmt.Sprint("wamid.", n))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, fmt.Sprintf("f1.%d.1", n), m.Call)
		require.Equal(t, overtaken[m.Call], m.State == "failed", m.State)
	}
	for range len(overtaken) {
		key := <-told
		require.True(t, overtaken[key], key)
		delete(overtaken, key)
	}
	require.NoError(t, l.Close())
	require.Empty(t, told)
}

// TestUnusable opens what is no ledger.
func TestUnusable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := sqlitefile.Open(path, sqlitefile.Kind{Name: "journal", ID: 7, Migrations: []string{"CREATE TABLE runs (id);"}})
	require.NoError(t, err)
	require.NoError(t, j.Close())
	_, err = ledger.OpenSQLite(path, ledger.Options{})
	require.EqualError(t, err, "ledger "+path+": cannot open it: it is not a ledger; move it away, or choose another data folder")
}

// TestOldLedgers opens a ledger of each schema that was ever released.
func TestOldLedgers(t *testing.T) {
	newest := filepath.Join("testdata", fmt.Sprintf("schema%d.db", ledger.Schema()))
	if _, err := os.Stat(newest); *update && err != nil {
		l := openSQLite(t, newest, ledgertest.Start)
		ledgertest.WriteOld(t, l)
		require.NoError(t, l.Close())
		require.NoError(t, os.Remove(newest+"-lock"))
	}
	require.FileExists(t, newest, "run the test with -update")
	files, err := filepath.Glob("testdata/schema*.db")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "ledger.db")
			require.NoError(t, os.WriteFile(path, content, 0o600))
			ledgertest.HoldsOld(t, openSQLite(t, path, ledgertest.Start))
		})
	}
}

var update = flag.Bool("update", false, "write the ledger of the newest schema to testdata, if there is none")
