package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"

	"github.com/stretchr/testify/require"
)

// childFile is set for a process that TestWriterProcess runs in: it writes that file.
const childFile = "FACTEUR_TEST_LEDGER"

// TestWriterProcess is not a test but the process that others start, and end.
func TestWriterProcess(t *testing.T) {
	path := os.Getenv(childFile)
	if path == "" {
		t.Skip("this is the process that other tests start")
	}
	l, err := ledger.OpenSQLite(path, ledger.Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("open", "")
	var out sync.Mutex
	scribble(l, func(kind, id string) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(kind, id)
	}, func() bool { return true })
}

// scribble claims, tells and applies, several at once, while more says so, and calls acked
// for what is durable.
func scribble(l ledger.Ledger, acked func(kind, id string), more func() bool) {
	ctx := context.Background()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for more() {
				id := rand.Text()
				if _, err := l.Claim(ctx, ledgertest.Claim(id, id)); err != nil {
					panic(err)
				}
				acked("claim", id)
				if _, err := l.Told(ctx, ledgertest.Accepted(id, "wamid."+id)); err != nil {
					panic(err)
				}
				if _, err := l.Apply(ctx, ledgertest.Message(id, "oui"), ledgertest.Status("wamid."+id, "read", "f1."+id)); err != nil {
					panic(err)
				}
				acked("told", id)
			}
		})
	}
	all.Wait()
}

// verify checks that what was acknowledged is there: all of a webhook, and every claim.
func verify(t *testing.T, l ledger.Ledger, acked map[string]string) {
	t.Helper()
	for id, kind := range acked {
		if kind == "claim" {
			repeats, err := l.Claim(t.Context(), ledgertest.Claim("another", id))
			require.True(t, err != nil || repeats == "wamid."+id, "claim %s is lost", id)
			continue
		}
		news, err := l.Apply(t.Context(), ledgertest.Message(id, "oui"), ledgertest.Status("wamid."+id, "read", "f1."+id))
		require.NoError(t, err)
		require.Empty(t, ledgertest.Fresh(news), "webhook %s is lost", id)
		m, _, err := l.Message(t.Context(), "wamid."+id)
		require.NoError(t, err)
		require.EqualValues(t, "read", m.State)
		require.Len(t, m.Statuses, 1)
		repeats, err := l.Claim(t.Context(), ledgertest.Claim("another", id))
		require.NoError(t, err)
		require.Equal(t, "wamid."+id, repeats)
	}
}

// TestKill kills a process that writes, again and again, and finds all that the process was
// told to be durable, while this one has the ledger open, too.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	beside := openSQLite(t, path, nil)
	acked := map[string]string{}
	for range 8 {
		child := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$")
		child.Env = append(os.Environ(), childFile+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		require.Equal(t, "open ", lines.Text())
		for left := mathrand.IntN(300); lines.Scan(); left-- {
			if left == 0 {
				require.NoError(t, child.Process.Kill())
			}
			var kind, id string
			_, err := fmt.Sscan(lines.Text(), &kind, &id)
			require.NoError(t, err)
			acked[id] = kind
		}
		child.Wait()
		verify(t, beside, acked)
	}
	require.NoError(t, beside.Close())
	verify(t, openSQLite(t, path, nil), acked)
	t.Logf("%d sends were acknowledged", len(acked))
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
	scribble(l, func(kind, id string) {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			panic(err)
		}
		acks = append(acks, ack{kind, id, int(info.Size())})
	}, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acks) < 200
	})
	database, err := os.ReadFile(path)
	require.NoError(t, err)
	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	first := acks[0].log
	require.Less(t, first, len(log))
	for i := range 30 {
		cut := first + mathrand.IntN(len(log)-first)
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
		verify(t, l, want)
		require.NoError(t, l.Close())
	}
}
