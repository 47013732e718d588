package ledger_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"

	"github.com/stretchr/testify/require"
)

// TestWriterProcess is not a test but the process that TestKill starts, and ends.
func TestWriterProcess(t *testing.T) {
	ledgertest.WriterProcess(t, func(path string) (ledger.Ledger, error) { return ledger.OpenSQLite(path, ledger.Options{}) })
}

// TestKill kills a process that writes, again and again, and finds all that the process was
// told to be durable, while this one has the ledger open, too.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	beside := openSQLite(t, path, nil)
	acked := ledgertest.Killed(t, path, beside)
	require.NoError(t, beside.Close())
	ledgertest.CheckWritten(t, openSQLite(t, path, nil), acked)
}

// TestTornLog cuts the log as a power failure would: what was synced is there, of the rest
// a part, and the last page may be anything.
func TestTornLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := openSQLite(t, path, nil)
	type ack struct {
		kind, id string
		log      int // its size when the acknowledgement was given, or more
	}
	var mu sync.Mutex
	var acks []ack
	ledgertest.WriteRandom(l, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acks) < 200
	}, func(kind, id string) {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			panic(err)
		}
		acks = append(acks, ack{kind, id, int(info.Size())})
	})
	database, err := os.ReadFile(path)
	require.NoError(t, err)
	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	first := acks[0].log
	require.Less(t, first, len(log))
	for i := range 30 {
		cut := first + rand.IntN(len(log)-first)
		torn := bytes.Clone(log[:cut])
		switch i % 3 {
		case 1: // the length is there, the last page is not
			torn = append(torn, make([]byte, 4096)...)
		case 2: // or is something else
			torn = append(torn, log[:4096]...)
		}
		copied := filepath.Join(t.TempDir(), "ledger.db")
		require.NoError(t, os.WriteFile(copied, database, 0o600))
		require.NoError(t, os.WriteFile(copied+"-wal", torn, 0o600))
		want := map[string]string{}
		for _, a := range acks {
			if a.log <= cut {
				want[a.id] = a.kind
			}
		}
		l := openSQLite(t, copied, nil)
		ledgertest.CheckWritten(t, l, want)
		require.NoError(t, l.Close())
	}
}
