package journal_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSQLite(t *testing.T) {
	open := func(t *testing.T, dir string) journal.Journal {
		return openSQLite(t, filepath.Join(dir, "journal.db"))
	}
	t.Run("exercise", func(t *testing.T) {
		journaltest.Exercise(t, func(t *testing.T) journal.Journal { return open(t, t.TempDir()) })
	})
	t.Run("reopen", func(t *testing.T) { journaltest.Reopen(t, open) })
}

func openSQLite(t testing.TB, path string) *journal.SQLite {
	t.Helper()
	j, err := journal.OpenSQLite(path)
	require.NoError(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}

func TestPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	j := openSQLite(t, filepath.Join(dir, "journal.db"))
	require.NoError(t, j.Create(t.Context(), journaltest.Run("a"), journaltest.Records(0)))
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	require.Equal(t, fs.FileMode(0o700), mode(dir))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
		require.Equal(t, fs.FileMode(0o600), mode(filepath.Join(dir, f.Name())), f.Name())
	}
	require.Equal(t, []string{"journal.db", "journal.db-lock", "journal.db-shm", "journal.db-wal"}, names)
	require.NoError(t, j.Close())
	require.NoFileExists(t, filepath.Join(dir, "journal.db-wal"), "the file is whole without its log")
}

// TestSettings: the promise of a durable write rests on these.
func TestSettings(t *testing.T) {
	j := openSQLite(t, filepath.Join(t.TempDir(), "journal.db"))
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "user_version": fmt.Sprint(journal.Schema())} {
		got, err := j.Exec("PRAGMA " + pragma)
		require.NoError(t, err)
		require.Equal(t, want, got, pragma)
	}
}

// TestOddPaths: a path is a path, whatever SQLite reads into it.
func TestOddPaths(t *testing.T) {
	for _, name := range []string{":memory:", "file:x?mode=memory", "with space%20 é?#.db", "journal"} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, openSQLite(t, path).Close())
		require.FileExists(t, path)
	}
	t.Chdir(t.TempDir())
	require.NoError(t, openSQLite(t, ":memory:").Close())
	require.FileExists(t, ":memory:")
}

func TestSourcesAreStoredOnce(t *testing.T) {
	j := openSQLite(t, filepath.Join(t.TempDir(), "journal.db"))
	source := map[string]string{"greet": strings.Repeat("# a line of a flow\n", 1000)}
	var all sync.WaitGroup
	for worker := range 10 {
		all.Go(func() {
			for i := range 50 {
				run := journaltest.Run(fmt.Sprintf("%d.%d", worker, i))
				run.Sources = source
				assert.NoError(t, j.Create(t.Context(), run, journaltest.Records(0)))
			}
		})
	}
	all.Wait()
	n, err := j.Exec("SELECT count(*) FROM sources")
	require.NoError(t, err)
	require.Equal(t, "1", n)
}

// TestBackPressure: what nobody waits for is taken until the queue is full, and no
// further.
func TestBackPressure(t *testing.T) {
	j := openSQLite(t, filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, j.Create(t.Context(), journaltest.Run("a"), journaltest.Records(0)))
	release := j.Hold()
	for n := range journal.Queued {
		require.NoError(t, j.Write(t.Context(), "a", false, journaltest.Records(1+n)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	refused := make(chan error)
	go func() { refused <- j.Write(ctx, "a", false, journaltest.Records(-1)) }()
	cancel()
	require.ErrorIs(t, <-refused, context.Canceled)
	waited := make(chan error)
	go func() { waited <- j.Write(t.Context(), "a", true, journaltest.Records(1+journal.Queued)) }()
	release()
	require.NoError(t, <-waited)
	_, records, err := j.Load(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, records, 2+journal.Queued)
	for n, r := range records {
		require.Equal(t, string(journaltest.Record(n).Body), string(r.Body))
	}
}

// TestGivenUp: a context that ends while a write waits for the disk does not make its
// result uncertain.
func TestGivenUp(t *testing.T) {
	j := openSQLite(t, filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, j.Create(t.Context(), journaltest.Run("a"), journaltest.Records(0)))
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		release := j.Hold()
		done := make(chan error)
		go func() { done <- j.Write(ctx, "a", true, journaltest.Records(1)) }()
		go cancel()
		release()
		stored := <-done == nil
		_, records, err := j.Load(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, stored, len(records) == 2)
		if stored {
			return
		}
	}
}

func TestClosed(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openSQLite(t, path)
	r, err := journal.OpenReadOnly(path)
	require.NoError(t, err)

	// While runs are written, all that was taken is there.
	taken := make([]int, 16)
	var all sync.WaitGroup
	started := make(chan struct{}, len(taken))
	for i := range taken {
		all.Go(func() {
			id := fmt.Sprint(i)
			assert.NoError(t, j.Create(ctx, journaltest.Run(id), journaltest.Records(0)))
			started <- struct{}{}
			for {
				taken[i]++
				if err := j.Write(ctx, id, taken[i]%2 == 0, journaltest.Records(taken[i])); err != nil {
					assert.ErrorIs(t, err, journal.ErrClosed)
					return
				}
			}
		})
	}
	for range taken {
		<-started
	}
	require.NoError(t, j.Close())
	all.Wait()
	require.NoError(t, j.Close(), "once more")

	require.ErrorIs(t, j.Create(ctx, journaltest.Run("late"), journaltest.Records(0)), journal.ErrClosed)
	_, _, err = j.Load(ctx, "0")
	require.ErrorIs(t, err, journal.ErrClosed)
	_, err = j.List(ctx, journal.Filter{})
	require.ErrorIs(t, err, journal.ErrClosed)

	for i, n := range taken {
		_, records, err := r.Load(ctx, fmt.Sprint(i))
		require.NoError(t, err)
		require.Len(t, records, n)
	}
	require.NoError(t, r.Close())
	require.NoError(t, r.Close(), "once more")
	_, err = r.List(ctx, journal.Filter{})
	require.ErrorIs(t, err, journal.ErrClosed)
}

func TestReader(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openSQLite(t, path)
	r, err := journal.OpenReadOnly(path)
	require.NoError(t, err)
	defer r.Close()
	_, _, err = r.Load(ctx, "a")
	var missing *journal.NotFoundError
	require.ErrorAs(t, err, &missing)

	require.NoError(t, j.Create(ctx, journaltest.Run("a"), journaltest.Records(0)))
	_, err = j.List(ctx, journal.Filter{})
	require.NoError(t, err)
	head, records, err := r.Load(ctx, "a")
	require.NoError(t, err)
	journaltest.SameRun(t, journaltest.Run("a"), head)
	journaltest.SameRecords(t, []journal.Record{journaltest.Record(0)}, records)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err = r.Load(ended, "a")
	require.ErrorIs(t, err, context.Canceled)
	_, err = r.List(ended, journal.Filter{})
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, j.Close())
	runs, err := r.List(ctx, journal.Filter{})
	require.NoError(t, err, "the writer may go")
	require.Len(t, runs, 1)
}

// TestPrunedMeanwhile: what is written of a run while that is forgotten leaves nothing
// behind.
func TestPrunedMeanwhile(t *testing.T) {
	ctx := t.Context()
	j := openSQLite(t, filepath.Join(t.TempDir(), "journal.db"))
	const runs = 500
	for i := range runs + 1 {
		require.NoError(t, j.Create(ctx, journaltest.Run(fmt.Sprint(i)), journal.Change{
			Records: journaltest.Records(0).Records, Status: "failed", Ended: journaltest.Record(0).At,
		}))
	}
	var all sync.WaitGroup
	all.Go(func() {
		n, err := j.Prune(ctx, journaltest.Record(1).At, journaltest.Record(1).At, runs)
		assert.NoError(t, err)
		assert.Equal(t, runs, n)
	})
	for range 4 {
		all.Go(func() {
			for i := range runs {
				var missing *journal.NotFoundError
				if err := j.Write(ctx, fmt.Sprint(i), true, journaltest.Records(1)); err != nil {
					assert.ErrorAs(t, err, &missing)
				}
			}
		})
	}
	all.Wait()
	orphans, err := j.Exec("SELECT count(*) FROM records WHERE run NOT IN (SELECT seq FROM runs)")
	require.NoError(t, err)
	require.Equal(t, "0", orphans)
	sheaves, err := j.Exec("SELECT count(*) || ' of ' || (max(length(records)) < 100) FROM sheaves")
	require.NoError(t, err)
	require.Equal(t, "1 of 1", sheaves, "only the last run is in one")
}
