package sqlitefile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"facteur/sqlitefile"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func notes(shared bool) sqlitefile.Kind {
	return sqlitefile.Kind{Name: "notebook", ID: 7, Migrations: []string{"CREATE TABLE notes (text TEXT NOT NULL);"}, Shared: shared}
}

func open(t *testing.T, path string, kind sqlitefile.Kind) *sqlitefile.File {
	t.Helper()
	f, err := sqlitefile.Open(path, kind)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func note(text string) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "INSERT INTO notes (text) VALUES (?)", nil, text)
	}
}

func count(t *testing.T, read func(context.Context, func(*sqlite.Conn) error) error) (n int) {
	t.Helper()
	require.NoError(t, read(t.Context(), func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT count(*) FROM notes", func(row *sqlite.Stmt) { n = row.ColumnInt(0) })
	}))
	return n
}

// Peek does not wait for writes, and its error explains what is wrong with the file.
func TestPeek(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "notes.db"), notes(false))
	require.NoError(t, f.Write(t.Context(), true, 1, note("first")))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				assert.Equal(t, 1, count(t, f.Peek))
			}
		})
	}
	all.Wait()
	held := make(chan struct{})
	go f.Write(context.Background(), false, 1, func(conn *sqlite.Conn) error {
		defer close(held)
		assert.Equal(t, 1, count(t, f.Peek), "while the writer is busy")
		return note("second")(conn)
	})
	<-held

	broken := errors.New("this went wrong")
	err := f.Peek(t.Context(), func(*sqlite.Conn) error { return broken })
	require.ErrorIs(t, err, broken)
	require.ErrorAs(t, err, new(*sqlitefile.DiskError))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	busy, done := make(chan struct{}), make(chan struct{})
	for range 2 { // both goroutines of the peeker
		go f.Peek(context.Background(), func(*sqlite.Conn) error { busy <- struct{}{}; <-done; return nil })
		<-busy
	}
	require.ErrorIs(t, f.Peek(gone, nil), context.Canceled)
	close(done)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Peek(t.Context(), nil), sqlitefile.ErrClosed)
}

// The first Peek may come while the file is being closed.
func TestPeekAtTheEnd(t *testing.T) {
	for range 20 {
		f := open(t, filepath.Join(t.TempDir(), "notes.db"), notes(false))
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if err := f.Peek(t.Context(), func(*sqlite.Conn) error { return nil }); err != nil {
					assert.ErrorIs(t, err, sqlitefile.ErrClosed)
				}
			})
		}
		assert.NoError(t, f.Close())
		all.Wait()
	}
}

// Read sees all writes, of every kind.
func TestWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	f := open(t, path, notes(false))
	require.NoError(t, f.Write(t.Context(), true, 1, note("durable")))
	require.Equal(t, 1, count(t, f.Peek))
	require.NoError(t, f.Write(t.Context(), false, 1, note("lazy")))
	require.Equal(t, 2, count(t, f.Read))
	ran := false
	require.NoError(t, f.WriteSoon(t.Context(), 1, func(conn *sqlite.Conn) error {
		ran = true
		return note("soon")(conn)
	}))
	require.True(t, ran, "when it returns")
	require.NoError(t, f.WriteOutsideTransaction(t.Context(), func(conn *sqlite.Conn) error {
		assert.True(t, conn.AutocommitEnabled(), "in no transaction")
		return note("outside")(conn)
	}))
	require.Equal(t, 4, count(t, f.Peek), "it is behind all that came before")
	require.NoError(t, f.Write(t.Context(), false, 1, note("last")))
	require.NoError(t, f.Close())
	r, err := sqlitefile.OpenReadOnly(path, notes(false))
	require.NoError(t, err)
	require.Equal(t, 5, count(t, r.Read))
	require.NoError(t, r.Close())
}

// The WAL starts over now and then while writes go on, even if somebody reads an old state.
func TestLogStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	f := open(t, path, notes(false))
	write := func() int64 {
		require.NoError(t, f.Write(t.Context(), true, 1, note(strings.Repeat("x", 1<<20))))
		log, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		return log.Size()
	}
	untilShort := func() (longest int64) {
		for range 300 {
			size := write()
			if size == longest {
				return longest
			}
			longest = size
		}
		require.Fail(t, "it goes on to grow")
		return longest
	}
	longest := untilShort()
	require.NoError(t, f.Read(t.Context(), func(conn *sqlite.Conn) error {
		err := sqlitefile.Query(conn, "SELECT count(*) FROM notes", func(*sqlite.Stmt) {})
		for range 64 {
			write()
		}
		return err
	}))
	require.Greater(t, write(), longest, "what is read stays in the log")
	untilShort()
	require.NoError(t, f.Close())
	_, err := os.Stat(path + "-wal")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A failed write fails all later ones, of every kind.
func TestFailureIsFinal(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "notes.db"), notes(false))
	require.NoError(t, f.Write(t.Context(), true, 1, note("first")))
	broken := errors.New("the disk is gone")
	want := "cannot write it: the disk is gone"
	require.ErrorContains(t, f.WriteSoon(t.Context(), 1, func(*sqlite.Conn) error { return broken }), want)
	require.ErrorContains(t, f.Write(t.Context(), true, 1, note("second")), want)
	require.ErrorContains(t, f.WriteSoon(t.Context(), 1, note("third")), want)
	require.ErrorContains(t, f.WriteOutsideTransaction(t.Context(), note("fourth")), want)
	require.Equal(t, 1, count(t, f.Read))
	err := f.Close()
	require.ErrorIs(t, err, broken)
	var disk *sqlitefile.DiskError
	require.ErrorAs(t, err, &disk)
	require.Equal(t, "notebook", disk.Kind)
}

// A shared file is written by all that have it open, even if they create it at the same time.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	files := make([]*sqlitefile.File, 8)
	var all sync.WaitGroup
	for i := range files {
		all.Go(func() {
			f, err := sqlitefile.Open(path, notes(true))
			if !assert.NoError(t, err) {
				return
			}
			files[i] = f
			for n := range 50 {
				assert.NoError(t, f.Write(t.Context(), n%2 == 0, 1, note(fmt.Sprint(i, n))))
			}
		})
	}
	all.Wait()
	for _, f := range files {
		require.NoError(t, f.Close())
	}
	require.Equal(t, 8*50, count(t, open(t, path, notes(true)).Read))
}

// A file that is not shared has one writer.
func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.db")
	f := open(t, path, notes(false))
	_, err := sqlitefile.Open(path, notes(false))
	require.ErrorIs(t, err, sqlitefile.ErrInUse)
	require.NoError(t, f.Close())
	require.NoError(t, open(t, path, notes(false)).Close())
}

// TestOnCommit: what OnCommit writes is there for readers, and after Close.
func TestOnCommit(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "file.db")
	kind := sqlitefile.Kind{Name: "file", ID: 7, Migrations: []string{"CREATE TABLE words (word);"}}
	f, err := sqlitefile.Open(path, kind)
	require.NoError(t, err)
	insert := sqlitefile.NewInsert("INSERT INTO words (word)", "?")
	var kept []string
	flush := func(conn *sqlite.Conn) error {
		defer func() { kept = nil }()
		return insert.Rows(conn, len(kept), func(q *sqlite.Stmt, at, row int) { q.BindText(at+1, kept[row]) }, nil)
	}
	f.OnCommit(flush, func(*sqlite.Conn) error { kept = append(kept, "end"); return nil })
	var want []string
	for n := range 75 {
		word := fmt.Sprint(n)
		want = append(want, word)
		require.NoError(t, f.Write(ctx, false, 1, func(*sqlite.Conn) error { kept = append(kept, word); return nil }))
	}
	words := func(read func(context.Context, func(*sqlite.Conn) error) error) (all []string) {
		require.NoError(t, read(ctx, func(conn *sqlite.Conn) error {
			return sqlitefile.Query(conn, "SELECT word FROM words ORDER BY rowid", func(row *sqlite.Stmt) { all = append(all, row.ColumnText(0)) })
		}))
		return all
	}
	require.Equal(t, want, words(f.Read))
	require.NoError(t, f.Close())
	r, err := sqlitefile.OpenReadOnly(path, kind)
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, append(want, "end"), words(r.Read))
}

// TestAfterCommit: callers of a write do not wait for what AfterCommit returns, but readers see it.
func TestAfterCommit(t *testing.T) {
	ctx := t.Context()
	f := open(t, filepath.Join(t.TempDir(), "file.db"), sqlitefile.Kind{Name: "file", ID: 7, Migrations: []string{"CREATE TABLE words (word);"}})
	defer f.Close()
	say := func(word string) func(*sqlite.Conn) error {
		return func(conn *sqlite.Conn) error {
			return sqlitefile.Query(conn, "INSERT INTO words VALUES (?)", nil, word)
		}
	}
	told, due := make(chan struct{}), false // due is used by the writer's goroutine alone
	f.AfterCommit(func() func(*sqlite.Conn) error {
		if !due {
			return nil
		}
		due = false
		return func(conn *sqlite.Conn) error {
			<-told
			return say("after")(conn)
		}
	})
	require.NoError(t, f.Write(ctx, true, 1, say("first")))
	require.NoError(t, f.Write(ctx, true, 1, func(conn *sqlite.Conn) error { due = true; return say("second")(conn) }))
	close(told)
	var words []string
	require.NoError(t, f.Read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT word FROM words ORDER BY rowid", func(row *sqlite.Stmt) { words = append(words, row.ColumnText(0)) })
	}))
	require.Equal(t, []string{"first", "second", "after"}, words)
}

// TestRecover: whoever opens the file next, to write or to read, recovers it, unless another process
// has it open for writing.
func TestRecover(t *testing.T) {
	kind := sqlitefile.Kind{Name: "file", ID: 7, Migrations: []string{"CREATE TABLE words (word); CREATE TABLE beside (word);"}}
	kind.NeedsRecovery = "SELECT EXISTS (SELECT 1 FROM beside)"
	kind.Recover = func(conn *sqlite.Conn) error {
		return sqlitex.ExecuteScript(conn, "INSERT INTO words SELECT word FROM beside; DELETE FROM beside;", nil)
	}
	left := func(t *testing.T) (path string, f *sqlitefile.File) {
		t.Helper()
		path = filepath.Join(t.TempDir(), "file.db")
		f, err := sqlitefile.Open(path, kind)
		require.NoError(t, err)
		require.NoError(t, f.Write(t.Context(), true, 1, func(conn *sqlite.Conn) error {
			return sqlitefile.Query(conn, "INSERT INTO beside VALUES ('a')", nil)
		}))
		return path, f
	}
	words := func(t *testing.T, read func(context.Context, func(*sqlite.Conn) error) error) (n int) {
		require.NoError(t, read(t.Context(), func(conn *sqlite.Conn) error {
			return sqlitefile.Query(conn, "SELECT count(*) FROM words", func(row *sqlite.Stmt) { n = row.ColumnInt(0) })
		}))
		return n
	}
	t.Run("write", func(t *testing.T) {
		path, f := left(t)
		require.NoError(t, f.Close())
		f, err := sqlitefile.Open(path, kind)
		require.NoError(t, err)
		defer f.Close()
		require.Equal(t, 1, words(t, f.Read))
	})
	t.Run("read", func(t *testing.T) {
		path, f := left(t)
		r, err := sqlitefile.OpenReadOnly(path, kind)
		require.NoError(t, err)
		require.Equal(t, 0, words(t, r.Read), "another has it open")
		require.NoError(t, r.Close())
		require.NoError(t, f.Close())
		r, err = sqlitefile.OpenReadOnly(path, kind)
		require.NoError(t, err)
		defer r.Close()
		require.Equal(t, 1, words(t, r.Read))
	})
	t.Run("read beside one that writes all the time", func(t *testing.T) {
		path, f := left(t)
		defer f.Close()
		started, ended := make(chan struct{}), make(chan struct{})
		require.NoError(t, f.Write(t.Context(), false, 1, func(*sqlite.Conn) error {
			close(started)
			<-ended
			return nil
		}))
		<-started
		r, err := sqlitefile.OpenReadOnly(path, kind)
		close(ended)
		require.NoError(t, err)
		require.NoError(t, r.Close())
	})
	t.Run("read where nothing can be written", func(t *testing.T) {
		path, f := left(t)
		require.NoError(t, f.Close())
		require.NoError(t, os.Remove(path+"-lock"))
		require.NoError(t, os.Mkdir(path+"-lock", 0o700)) // so that no file of that name can be created, as in a read-only folder
		r, err := sqlitefile.OpenReadOnly(path, kind)
		require.NoError(t, err)
		require.Equal(t, 1, words(t, r.Read))
		require.Equal(t, 1, words(t, r.Read), "each time")
		copied := filepath.Join(t.TempDir(), "copy.db")
		require.NoError(t, r.Backup(t.Context(), copied))
		require.NoError(t, r.Close())
		require.NoError(t, os.Remove(path+"-lock"))
		for _, path := range []string{path, copied} {
			f, err := sqlitefile.Open(path, kind)
			require.NoError(t, err)
			require.Equal(t, 1, words(t, f.Read), "nothing was written")
			require.NoError(t, f.Close())
		}
	})
	t.Run("read what cannot be written", func(t *testing.T) {
		_, f := left(t)
		defer f.Close()
		require.Error(t, f.Write(t.Context(), true, 1, func(*sqlite.Conn) error { return errors.New("no more") }))
		require.Equal(t, 1, words(t, f.Read))
		require.Equal(t, 1, words(t, f.Read), "each time")
	})
}
