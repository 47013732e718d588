package journal_test

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

	"github.com/stretchr/testify/require"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"
)

// childFile is set for a process that TestWriterProcess runs in: it writes that file.
const childFile = "FACTEUR_TEST_JOURNAL"

// TestWriterProcess is not a test but the process that others start, and end.
func TestWriterProcess(t *testing.T) {
	path := os.Getenv(childFile)
	if path == "" {
		t.Skip("this is the process that other tests start")
	}
	j, err := journal.OpenSQLite(path)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("open", 0)
	var out sync.Mutex
	// A pipe holds a few thousand lines, so that this process is never far ahead of the
	// one that reads them.
	scribble(j, func(id string, records int) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(id, records)
	}, func() bool { return true })
}

// scribble writes runs, several at once, while more says so. It calls acked with the
// number of records that a run has durably.
func scribble(j journal.Journal, acked func(id string, records int), more func() bool) {
	ctx := context.Background()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for more() {
				id := rand.Text()
				check(j.Create(ctx, journaltest.Run(id), journaltest.Records(0)))
				acked(id, 1)
				records := 1
				for range mathrand.IntN(20) {
					durable := mathrand.IntN(3) == 0
					var batch []journal.Record
					for range 1 + mathrand.IntN(3) {
						batch = append(batch, journaltest.Record(records))
						records++
					}
					check(j.Append(ctx, id, durable, batch...))
					if durable {
						acked(id, records)
					}
				}
				check(j.End(ctx, id, "succeeded", journaltest.Record(records).At, journaltest.Record(records)))
				acked(id, records+1)
			}
		})
	}
	all.Wait()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// verify checks that every run is a prefix of what was written, not shorter than what was
// acknowledged, and ended only if it is whole.
func verify(t *testing.T, j journal.Journal, acked map[string]int) {
	t.Helper()
	runs, err := j.List(t.Context(), journal.Filter{Limit: -1})
	require.NoError(t, err)
	found := map[string]int{}
	for _, run := range runs {
		head, records, err := j.Load(t.Context(), run.ID)
		require.NoError(t, err)
		found[run.ID] = len(records)
		want := make([]journal.Record, len(records))
		for n := range want {
			want[n] = journaltest.Record(n)
		}
		journaltest.SameRecords(t, want, records)
		whole := journaltest.Run(run.ID)
		if head.Status != "running" {
			whole.Status, whole.Ended = "succeeded", records[len(records)-1].At
		}
		journaltest.SameRun(t, whole, head)
	}
	for id, records := range acked {
		require.GreaterOrEqual(t, found[id], records, "run %s lost acknowledged records", id)
	}
}

// TestKill kills a process that writes, again and again, and finds all that the process
// was told to be durable.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	acked := map[string]int{}
	for range 8 {
		child, lines := start(t, path)
		// The records after these are in every state at that moment.
		for range mathrand.IntN(1000) {
			lines.Scan()
			note(t, acked, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() { // what is still in the pipe was acknowledged, too
			note(t, acked, lines.Text())
		}
		child.Wait()

		j := openSQLite(t, path)
		verify(t, j, acked)
		require.NoError(t, j.Close())
	}
	t.Logf("%d runs were acknowledged", len(acked))
}

// start starts a process that writes the file, and returns the lines that it prints.
func start(t *testing.T, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$")
	child.Env = append(os.Environ(), childFile+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() { child.Process.Kill() })
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "open 0", lines.Text())
	return child, lines
}

func note(t *testing.T, acked map[string]int, line string) {
	var id string
	var records int
	_, err := fmt.Sscan(line, &id, &records)
	require.NoError(t, err, line)
	acked[id] = max(acked[id], records)
}

// TestTornLog cuts the log as a power failure would: what was synced is there, of the rest
// a part, and the last page may be anything.
func TestTornLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openSQLite(t, path)
	type ack struct {
		id      string
		records int
		log     int // its size when the acknowledgement was given, or more
	}
	var mu sync.Mutex
	var acks []ack
	scribble(j, func(id string, records int) {
		mu.Lock()
		defer mu.Unlock()
		info, err := os.Stat(path + "-wal")
		check(err)
		acks = append(acks, ack{id, records, int(info.Size())})
	}, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acks) < 300
	})
	database, err := os.ReadFile(path)
	require.NoError(t, err)
	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	first := acks[0].log
	require.Less(t, first, len(log))

	for i := range 60 {
		cut := first + mathrand.IntN(len(log)-first)
		torn := bytes.Clone(log[:cut])
		switch i % 3 {
		case 1: // the length is there, the last page is not
			torn = append(torn, make([]byte, 4096)...)
		case 2: // or is something else
			torn = append(torn, log[:4096]...)
		}
		dir := t.TempDir()
		copied := filepath.Join(dir, "journal.db")
		require.NoError(t, os.WriteFile(copied, database, 0o600))
		require.NoError(t, os.WriteFile(copied+"-wal", torn, 0o600))
		want := map[string]int{}
		for _, a := range acks {
			if a.log <= cut {
				want[a.id] = max(want[a.id], a.records)
			}
		}
		j := openSQLite(t, copied)
		verify(t, j, want)
		require.NoError(t, j.Create(t.Context(), journaltest.Run("after"), journaltest.Records(0)))
		require.NoError(t, j.Close())
	}
}
