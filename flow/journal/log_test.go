package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

var (
	lives = flag.Int("lives", 12, "how many files live a random life")
	seed  = flag.Uint64("seed", 0, "of the first of them")
)

// TestTwins does the same to a file and to Memory, at random, and now and then compares
// them, closes the file, or goes on with a backup of it, or with a copy, which is what a
// process leaves behind that dies. Nothing of that may make a difference.
func TestTwins(t *testing.T) {
	for n := range uint64(*lives) {
		t.Run(fmt.Sprintf("seed=%d", *seed+n), func(t *testing.T) {
			random := rand.New(rand.NewPCG(*seed+n, 0))
			data := make([]byte, 120)
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			path := filepath.Join(t.TempDir(), "journal.db")
			w := &pair{t: t, want: new(journal.Memory), got: openSQLite(t, path), path: path, data: data}
			for len(w.data) > 0 {
				w.step()
			}
			w.compare()
			require.NoError(t, w.got.Close())
			r, err := journal.OpenReadOnly(w.path)
			require.NoError(t, err)
			requireSame(t, w.want, r)
			require.NoError(t, r.Close())
		})
	}
}

// FuzzLog: whatever lies in the log of a file, reading it ends, and what was read once is
// read again after it was written.
func FuzzLog(f *testing.F) {
	waits := journaltest.Waits("anna")
	for _, c := range []journal.Change{
		{}, {Status: "waiting", Waits: &waits, Recipients: []string{"anna"}}, {Records: []journal.Record{journaltest.Record(1), record(300)}},
		{Status: "failed", Ended: endTime(0), Unknown: []string{"f1.a.1"}, Settled: []string{"f1.a.1", "f1.a.2"}},
	} {
		row := journal.EncodeLog(journaltest.Run("a"), c)
		f.Add(row)
		f.Add(row[:len(row)-1])
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		first, err := journal.DecodeLog(row)
		if err != nil {
			return
		}
		again, err := journal.DecodeLog(first)
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%x was written as %x: %v", first, again, err)
		}
	})
}

// A pair is two journals that get the same writes, and must hold the same.
type pair struct {
	t    *testing.T
	want *journal.Memory
	got  *journal.SQLite
	path string
	data []byte
	n    int
}

func (w *pair) next() int {
	if len(w.data) == 0 {
		return 0
	}
	b := w.data[0]
	w.data = w.data[1:]
	return int(b)
}

func (w *pair) both(do func(j journal.Journal) (any, error)) {
	w.t.Helper()
	want, wantErr := do(w.want)
	got, err := do(w.got)
	require.Equal(w.t, wantErr, err)
	require.Equal(w.t, want, got)
}

func (w *pair) step() {
	ctx := w.t.Context()
	w.n++
	what := w.next()
	run := fmt.Sprint(w.next() % 7) // in no order
	switch what % 17 {
	case 0, 1, 2:
		head, c := journaltest.Run(run), w.change()
		head.Started = head.Started.Add(time.Duration(w.next()) * time.Minute)
		w.both(func(j journal.Journal) (any, error) { return nil, j.Create(ctx, head, c) })
	case 3, 4, 5, 6, 7:
		c, durable := w.change(), w.next()%2 == 0
		w.both(func(j journal.Journal) (any, error) { return nil, j.Write(ctx, run, durable, c) })
	case 8:
		e := journaltest.Event(fmt.Sprint(w.next() % 4))
		wake := []string{run, fmt.Sprint(w.next() % 7)}
		w.both(func(j journal.Journal) (any, error) { return j.Deliver(ctx, []journal.Event{e}, wake) })
	case 9:
		w.both(func(j journal.Journal) (any, error) { return nil, j.Wake(ctx, false, run) })
	case 10:
		w.both(func(j journal.Journal) (any, error) { return nil, j.MarkDone(ctx, fmt.Sprint(what%4)) })
	case 11:
		w.both(func(j journal.Journal) (any, error) {
			return nil, j.Note(ctx, "hold", run, json.RawMessage(fmt.Sprint(w.n)))
		})
	case 12:
		before := endTime(w.next() % 60)
		w.both(func(j journal.Journal) (any, error) { return j.Prune(ctx, before, before, 100) })
	case 13:
		w.compare()
	case 16:
		require.NoError(w.t, w.got.Flush())
	case 14:
		require.NoError(w.t, w.got.Close())
		w.got = openSQLite(w.t, w.path)
	case 15:
		require.NoError(w.t, w.got.Wake(ctx, true))
		to := filepath.Join(w.t.TempDir(), "backup.db")
		how := w.next()
		if how%3 == 0 {
			require.NoError(w.t, w.got.Backup(ctx, to))
			w.path = to
		} else {
			w.path = copyFiles(w.t, w.got, w.path)
		}
		if how%2 == 0 {
			r, err := journal.OpenReadOnly(w.path)
			require.NoError(w.t, err)
			requireSame(w.t, w.want, r)
			require.NoError(w.t, r.Close())
		}
		w.got = openSQLite(w.t, w.path)
	}
}

func (w *pair) change() (c journal.Change) {
	for range w.next() % 4 {
		r := record(10 + w.next()*8)
		r.At = journaltest.Record(w.n).At
		c.Records = append(c.Records, r)
	}
	switch w.next() % 6 {
	case 0, 1:
		c.Status = "running"
	case 2:
		c.Status = "waiting"
	case 3, 4:
		c.Status, c.Ended = "failed", endTime(w.next()%60)
	}
	switch w.next() % 4 {
	case 0:
		waits := journaltest.Waits(fmt.Sprint(w.n))
		c.Waits = &waits
	case 1:
		c.Waits = &journal.Waits{}
	}
	switch key := fmt.Sprint(w.next() % 3); w.next() % 6 {
	case 0:
		c.Unknown = []string{key}
	case 1:
		c.Settled = []string{key}
	case 2:
		c.Unknown, c.Settled = []string{"0", "1"}, []string{key}
	case 3:
		c.Consumed = []string{key}
	case 4:
		c.Recipients = []string{"anna", key}
	}
	return c
}

// endTime is after all starts.
func endTime(minute int) time.Time {
	return journaltest.Run("").Started.Add(5*time.Hour + time.Duration(minute)*time.Minute)
}

func (w *pair) compare() {
	w.t.Helper()
	run := fmt.Sprint(w.next() % 7)
	wantHead, want, wantErr := w.want.Load(w.t.Context(), run)
	head, got, err := w.got.Load(w.t.Context(), run)
	require.Equal(w.t, wantErr, err)
	journaltest.SameRun(w.t, wantHead, head)
	journaltest.SameRecords(w.t, want, got)
	requireSame(w.t, w.want, w.got)
}

// copyFiles copies the files of a journal as its process would leave them if it died now.
func copyFiles(t *testing.T, j *journal.SQLite, path string) string {
	t.Helper()
	release := j.Hold()
	defer release()
	to := filepath.Join(t.TempDir(), "journal.db")
	for _, suffix := range []string{"", "-wal"} {
		from, err := os.Open(path + suffix)
		require.NoError(t, err)
		into, err := os.OpenFile(to+suffix, os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = io.Copy(into, from)
		require.NoError(t, errors.Join(err, from.Close(), into.Close()))
	}
	return to
}

// TestLogOfOthers: what is only in the log is read, too, be its writer dead or alive.
func TestLogOfOthers(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openSQLite(t, path)
	require.NoError(t, j.Create(ctx, journaltest.Run("a"), journaltest.Records(0)))
	require.NoError(t, j.Write(ctx, "a", true, journaltest.Records(1)))
	require.Equal(t, 2, queryLog(t, path, "count(*)"))

	left := copyFiles(t, j, path)

	living, err := journal.OpenReadOnly(path)
	require.NoError(t, err)
	_, records, err := living.Load(ctx, "a")
	require.NoError(t, err)
	require.Len(t, records, 2, "it was waited for")
	require.False(t, living.Behind)
	require.NoError(t, living.Close())

	stopped, err := sqlite.OpenConn(left + "-lock") // as the process that writes has it locked
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(stopped, "BEGIN EXCLUSIVE", nil))
	behind, err := journal.OpenReadOnly(left)
	require.NoError(t, err)
	require.True(t, behind.Behind)
	_, err = behind.List(ctx, journal.Filter{})
	require.NoError(t, err)
	require.NoError(t, behind.Close())
	require.NoError(t, stopped.Close())

	dead, err := journal.OpenReadOnly(left)
	require.NoError(t, err)
	_, records, err = dead.Load(ctx, "a")
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.NoError(t, dead.Close())
	require.Equal(t, 0, queryLog(t, left, "count(*)"))

	require.NoError(t, j.Close())
	require.Equal(t, 0, queryLog(t, path, "count(*)"))
}

// TestLogIsShort: however much is written, what is not in the tables is little, and bodies
// of any size come back.
func TestLogIsShort(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openSQLite(t, path)
	require.NoError(t, j.Create(ctx, journaltest.Run("open"), journal.Change{Records: []journal.Record{record(3 << 20)}}))
	for n := range 300 {
		id := fmt.Sprint(n)
		size := 100 << (n % 16) // up to 3 MB
		require.NoError(t, j.Create(ctx, journaltest.Run(id), journal.Change{Records: []journal.Record{record(size), record(10)}}))
		require.NoError(t, j.Write(ctx, id, false, journal.Change{Records: []journal.Record{record(size)}, Status: "failed", Ended: endTime(0)}))
		require.LessOrEqual(t, queryLog(t, path, "coalesce(sum(length(changes)), 0)"), 2<<20)
	}
	for n := range 300 {
		_, records, err := j.Load(ctx, fmt.Sprint(n))
		require.NoError(t, err)
		size := 100 << (n % 16)
		journaltest.SameRecords(t, []journal.Record{record(size), record(10), record(size)}, records)
	}
}

// queryLog asks for a number about the log in a file.
func queryLog(t *testing.T, path, what string) int {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	require.NoError(t, err)
	defer conn.Close()
	n, err := sqlitex.ResultInt(conn.Prep("SELECT " + what + " FROM log"))
	require.NoError(t, err)
	return n
}
