package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

// childFile is set for a process that TestWriterProcess runs in: it writes that file.
const childFile = "FACTEUR_TEST_JOURNAL"

// TestWriterProcess is not a test but a process that other tests start and kill.
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
	playScripts(j, func(id string, records int) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(id, records)
	}, func() bool { return true })
}

// playScripts executes the scripts of runs, eight at a time, while more returns true. It
// calls acked with the number of steps of a run that are durable.
func playScripts(j journal.Journal, acked func(id string, steps int), more func() bool) {
	ctx := context.Background()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for more() {
				id := rand.Text()
				for n, s := range script(id) {
					check(s.do(ctx, j))
					if s.durable {
						acked(id, n+1)
					}
				}
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

// An ackTracker records what was acknowledged of runs, and what was found in their journal.
type ackTracker struct {
	acked map[string]int    // steps
	seen  map[string]string // states
	steps int               // that were found
}

func newAckTracker() *ackTracker {
	return &ackTracker{acked: map[string]int{}, seen: map[string]string{}}
}

func (w *ackTracker) ack(id string, steps int) { w.acked[id] = max(w.acked[id], steps) }

// verify checks that every run is in a state that its script leads to, after as many steps
// as were acknowledged or more, and that it is so again when the journal is opened anew.
func (w *ackTracker) verify(t *testing.T, j journal.Journal) {
	t.Helper()
	runs, err := j.List(t.Context(), journal.Filter{Limit: -1})
	require.NoError(t, err)
	waits := openRuns(t, j)
	found := map[string]bool{}
	for _, run := range runs {
		found[run.ID] = true
		now := state(t, j, run.ID, waits)
		if seen, ok := w.seen[run.ID]; ok {
			require.Equal(t, seen, now, "run %s has changed", run.ID)
			continue
		}
		steps := scriptSteps(t, run.ID, now)
		require.Positive(t, steps, "run %s is in a state that nobody wrote:\n%s", run.ID, now)
		require.GreaterOrEqual(t, steps, w.acked[run.ID], "run %s lost what was acknowledged", run.ID)
		w.seen[run.ID] = now
		w.steps += steps
	}
	for id := range w.acked {
		require.True(t, found[id], "run %s is lost", id)
	}
}

// TestKill kills a process that writes, again and again, and finds all that the process
// was told to be durable.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	w := newAckTracker()
	const kills = 20
	for range kills {
		child, lines := start(t, path)
		// The steps after these are in every state at that moment.
		for range mathrand.IntN(500) {
			lines.Scan()
			w.note(t, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() { // what is still in the pipe was acknowledged, too
			w.note(t, lines.Text())
		}
		child.Wait()

		j := openSQLite(t, path)
		w.verify(t, j)
		require.NoError(t, j.Close())
	}
	acked := 0
	for _, steps := range w.acked {
		acked += steps
	}
	t.Logf("killed: %d, runs acknowledged: %d, found: %d, steps acknowledged: %d, found: %d, lost: 0", kills, len(w.acked), len(w.seen), acked, w.steps)
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

func (w *ackTracker) note(t *testing.T, line string) {
	var id string
	var steps int
	_, err := fmt.Sscan(line, &id, &steps)
	require.NoError(t, err, line)
	w.ack(id, steps)
}

// A crashImage has the files of a journal, of which a power failure leaves parts.
type crashImage struct {
	database, log []byte
	acks          []ack
	first         int // size of the log when something of it was acknowledged
}

type ack struct {
	id    string
	steps int
	log   int // its size at the acknowledgement, or larger
}

// newCrashImage writes a journal whose latter part is only in SQLite's log (WAL) yet.
func newCrashImage(t *testing.T) crashImage {
	path := filepath.Join(t.TempDir(), "journal.db")
	var mu sync.Mutex
	var acks []ack
	writeUntil := func(most int) {
		j := openSQLite(t, path)
		playScripts(j, func(id string, steps int) {
			mu.Lock()
			defer mu.Unlock()
			info, err := os.Stat(path + "-wal")
			check(err)
			acks = append(acks, ack{id, steps, int(info.Size())})
		}, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acks) < most
		})
		if most < 300 {
			require.NoError(t, j.Close()) // which checkpoints the log
		}
	}
	writeUntil(150)
	for i := range acks {
		acks[i].log = 0
	}
	earlier := len(acks)
	writeUntil(500)
	database, err := os.ReadFile(path)
	require.NoError(t, err)
	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	require.Less(t, acks[earlier].log, len(log))
	return crashImage{database, log, acks, acks[earlier].log}
}

// open opens a journal with these files, and checks that what was acknowledged while the log
// was not longer than intact bytes is there, and that it can be written.
func (img crashImage) open(t *testing.T, database, log []byte, intact int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.WriteFile(path, database, 0o600))
	require.NoError(t, os.WriteFile(path+"-wal", log, 0o600))
	w := newAckTracker()
	for _, a := range img.acks {
		if a.log <= intact {
			w.ack(a.id, a.steps)
		}
	}
	j := openSQLite(t, path)
	w.verify(t, j)
	require.NoError(t, j.Create(t.Context(), journaltest.Run("after"), journaltest.Records(0)))
	require.NoError(t, j.Close())
}

// TestTornLog cuts the log as a power failure would: what was synced is there, of the rest
// a part, and what follows may be anything.
func TestTornLog(t *testing.T) {
	torn := newCrashImage(t)
	for i := range 24 {
		cut := torn.first + mathrand.IntN(len(torn.log)-torn.first)
		log := bytes.Clone(torn.log[:cut])
		switch i % 4 {
		case 1: // the length is there, the last page is not
			log = append(log, make([]byte, 4096)...)
		case 2: // or is something else
			log = append(log, torn.log[:4096]...)
		case 3: // some bits of what follows are not
			log = bytes.Clone(torn.log)
			for range 1 + mathrand.IntN(10) {
				log[cut+mathrand.IntN(len(log)-cut)] ^= 1 << mathrand.IntN(8)
			}
		}
		torn.open(t, torn.database, log, cut)
	}
}

// TestTornDatabase loses power while the log is copied to the database: pages of that may
// be anything, as long as the log has them.
func TestTornDatabase(t *testing.T) {
	const page, header, frame = 4096, 32, 24
	torn := newCrashImage(t)
	inLog := map[int]bool{}
	for at := header; at+frame+page <= len(torn.log); at += frame + page {
		inLog[int(binary.BigEndian.Uint32(torn.log[at:]))] = true
	}
	overwritten := 0
	for range 12 {
		database := bytes.Clone(torn.database)
		for number := range inLog {
			from := (number - 1) * page
			if number == 1 || from+page > len(database) || mathrand.IntN(2) == 0 {
				continue // the first one is one sector of what matters
			}
			overwritten++
			half := database[from : from+page/2]
			for i := range half {
				half[i] = byte(mathrand.IntN(256))
			}
		}
		if mathrand.IntN(2) == 0 { // it has grown, or not yet
			database = append(database, make([]byte, page*mathrand.IntN(3)+mathrand.IntN(page))...)
		}
		torn.open(t, database, torn.log, len(torn.log))
	}
	require.Greater(t, overwritten, 48, "or it shows little")
}
