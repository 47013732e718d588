package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// TestUnusable opens what is no journal of ours. The file stays as it was.
func TestUnusable(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"a text file", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
		}, "it is not a journal; move it away, or choose another data folder"},
		{"somebody else's database", func(t *testing.T, path string) {
			execute(t, path, "CREATE TABLE customers (id)")
		}, "it is not a journal; move it away, or choose another data folder"},
		{"somebody else's numbered database", func(t *testing.T, path string) {
			execute(t, path, "PRAGMA application_id = 7; PRAGMA user_version = 1")
		}, "it is not a journal; move it away, or choose another data folder"},
		{"from the future", func(t *testing.T, path string) {
			require.NoError(t, openSQLite(t, path).Close())
			execute(t, path, "PRAGMA user_version = 99")
		}, fmt.Sprintf("it has schema version 99, but this facteur only knows versions up to %d; use the newer facteur that wrote it", journal.Schema())},
		{"damaged", func(t *testing.T, path string) {
			require.NoError(t, openSQLite(t, path).Close())
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			copy(whole[100:], make([]byte, 1000)) // the schema
			require.NoError(t, os.WriteFile(path, whole, 0o600))
		}, "it is damaged; restore it from a backup"},
		{"a folder", func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path, 0o700))
		}, "it is not a file; give the path of the journal's file, not of its folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			tt.make(t, path)
			before, _ := os.ReadFile(path)
			_, err := journal.OpenSQLite(path)
			wantDiskError(t, err, path, "open", tt.want)
			_, err = journal.OpenReadOnly(path)
			wantDiskError(t, err, path, "open", tt.want)
			after, _ := os.ReadFile(path)
			require.True(t, bytes.Equal(before, after), "the file was changed")
		})
	}
	t.Run("the folder is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "data")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		path := filepath.Join(file, "journal.db")
		_, err := journal.OpenSQLite(path)
		wantDiskError(t, err, path, "open", "not a directory; check the folder "+file)
	})
	t.Run("nothing to read", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data", "journal.db")
		_, err := journal.OpenReadOnly(path)
		wantDiskError(t, err, path, "open", "there is no such file; check the path")
		require.NoDirExists(t, filepath.Dir(path))
	})
	t.Run("an empty file is a new journal", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "journal.db")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, openSQLite(t, path).Create(t.Context(), journaltest.Run("a"), journaltest.Records(0)))
	})
}

// TestDiskFails lets writing fail in the middle: what was acknowledged is there, the rest
// is refused with the reason, and the file can be opened again.
func TestDiskFails(t *testing.T) {
	tests := []struct{ name, fail, want string }{
		{"full", "PRAGMA max_page_count = 40", "the disk is full; free some space and start again"},
		{"read-only", "PRAGMA query_only = ON", "it is read-only; check who may write the file and its folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			path := filepath.Join(t.TempDir(), "journal.db")
			j := openSQLite(t, path)
			require.NoError(t, j.Create(ctx, journaltest.Run("a"), journaltest.Records(0)))
			require.NoError(t, j.Create(ctx, journaltest.Run("b"), journaltest.Records(0)))
			_, err := j.Exec(tt.fail)
			require.NoError(t, err)

			acked := map[string]int{"a": 1, "b": 1}
			for err == nil {
				require.Less(t, acked["a"], 10_000, "it never fails")
				require.NoError(t, j.Write(ctx, "b", false, journal.Change{Records: []journal.Record{record(2000)}}))
				if err = j.Write(ctx, "a", true, journaltest.Records(acked["a"])); err == nil {
					acked["a"]++
				}
			}
			wantDiskError(t, err, path, "write", tt.want)

			if tt.name == "full" { // room again is no help: something is missing already
				_, err = j.Exec("PRAGMA max_page_count = 1000000")
				require.Error(t, err)
			}
			wantDiskError(t, j.Write(ctx, "a", true, journaltest.Records(acked["a"])), path, "write", tt.want)
			wantDiskError(t, j.Write(ctx, "a", false, journaltest.Records(acked["a"])), path, "write", tt.want)
			wantDiskError(t, j.Create(ctx, journaltest.Run("c"), journaltest.Records(0)), path, "write", tt.want)
			wantDiskError(t, j.Write(ctx, "a", true, journal.Change{Status: "failed", Ended: journaltest.Record(0).At}), path, "write", tt.want)
			_, err = j.Deliver(ctx, []journal.Event{journaltest.Event("e")}, []string{"a"})
			wantDiskError(t, err, path, "write", tt.want)
			wantDiskError(t, j.Wake(ctx, false, "a"), path, "write", tt.want)
			wantDiskError(t, j.MarkDone(ctx, "e"), path, "write", tt.want)
			wantDiskError(t, j.Note(ctx, "hold", "shop", json.RawMessage("1")), path, "write", tt.want)

			_, records, err := j.Load(ctx, "a")
			require.NoError(t, err, "reading goes on")
			require.Len(t, records, acked["a"])
			runs, err := j.List(ctx, journal.Filter{})
			require.NoError(t, err)
			require.Len(t, runs, 2)
			require.Len(t, openRuns(t, j), 2)
			open, err := j.OpenEvents(ctx)
			require.NoError(t, err)
			require.Empty(t, open)
			require.NoError(t, j.Backup(ctx, filepath.Join(t.TempDir(), "rescued.db")))
			wantDiskError(t, j.Close(), path, "write", tt.want)

			j = openSQLite(t, path)
			require.NoError(t, j.Write(ctx, "a", true, journaltest.Records(acked["a"])))
			_, records, err = j.Load(ctx, "a")
			require.NoError(t, err)
			require.Len(t, records, acked["a"]+1)
			require.NoError(t, j.Close())
		})
	}
}

// TestLock: one process writes, others may read.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	want := "another process uses it; stop that one, or choose another data folder"
	child, lines := start(t, path)
	require.True(t, lines.Scan()) // a run was created
	id, _, _ := strings.Cut(lines.Text(), " ")

	_, err := journal.OpenSQLite(path)
	wantDiskError(t, err, path, "open", want)
	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(path, link))
	_, err = journal.OpenSQLite(link)
	wantDiskError(t, err, path, "open", want)

	r, err := journal.OpenReadOnly(path)
	require.NoError(t, err)
	defer r.Close()
	_, _, err = r.Load(t.Context(), id)
	require.NoError(t, err)
	require.NotNil(t, openRuns(t, r))
	_, err = r.OpenEvents(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Backup(t.Context(), filepath.Join(t.TempDir(), "backup.db")))

	require.NoError(t, child.Process.Kill())
	for lines.Scan() {
	}
	child.Wait()
	j := openSQLite(t, path)
	_, err = journal.OpenSQLite(path)
	wantDiskError(t, err, path, "open", want)
	require.NoError(t, j.Close())
	require.NoError(t, openSQLite(t, path).Close())
}

func wantDiskError(t *testing.T, err error, path, op, want string) {
	t.Helper()
	var disk *journal.DiskError
	require.ErrorAs(t, err, &disk)
	require.Equal(t, path, disk.Path)
	require.Equal(t, op, disk.Op)
	require.ErrorContains(t, err, "journal "+path+": cannot "+op+" it: "+want)
}

// execute runs a script on a database file.
func execute(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(conn, script, nil))
	require.NoError(t, conn.Close())
}
