package journal_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

// TestBackup: a copy that is made while others write holds all that was acknowledged
// before, and is a journal.
func TestBackup(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	j := openSQLite(t, path)
	r, err := journal.OpenReadOnly(path)
	require.NoError(t, err)
	defer r.Close()

	writing, stop := context.WithCancel(ctx)
	acked := newAckTracker()
	var mu sync.Mutex
	begun := make(chan struct{})
	var writers sync.WaitGroup
	writers.Go(func() {
		n := 0
		playScripts(j, func(id string, steps int) {
			mu.Lock()
			defer mu.Unlock()
			acked.ack(id, steps)
			if n++; n == 500 {
				close(begun)
			}
		}, func() bool { return writing.Err() == nil })
	})
	<-begun
	for name, backup := range map[string]func(context.Context, string) error{"journal": j.Backup, "reader": r.Backup} {
		before := newAckTracker()
		mu.Lock()
		for id, steps := range acked.acked {
			before.ack(id, steps)
		}
		mu.Unlock()
		copied := filepath.Join(dir, "backup of "+name+".db")
		require.NoError(t, backup(ctx, copied))
		info, err := os.Stat(copied)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
		require.NoFileExists(t, copied+"-wal", "it is whole in one file")
		k := openSQLite(t, copied)
		before.verify(t, k)
		require.NoError(t, k.Create(ctx, journaltest.Run("after"), journaltest.Records(0)))
		require.NoError(t, k.Close())
	}
	stop()
	writers.Wait()
	acked.verify(t, j)
	requireSame(t, j, r)
}

// TestNoBackup: what is there stays as it is, and nothing is left of a backup that failed.
func TestNoBackup(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	j := openSQLite(t, filepath.Join(dir, "journal.db"))
	require.NoError(t, j.Create(ctx, journaltest.Run("a"), journaltest.Records(0)))

	there := filepath.Join(t.TempDir(), "there.db")
	require.NoError(t, os.WriteFile(there, []byte("mine"), 0o600))
	folder := t.TempDir()
	link := filepath.Join(folder, "link.db")
	require.NoError(t, os.Symlink(filepath.Join(folder, "nowhere"), link))
	for _, path := range []string{there, folder, link} {
		wantDiskError(t, j.Backup(ctx, path), path, "write", "there is a file of that name already; choose another")
	}
	content, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "mine", string(content))
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, left, 1)

	missing := filepath.Join(folder, "missing", "b.db")
	wantDiskError(t, j.Backup(ctx, missing), missing, "write", "its folder is not there; create it, or choose another")

	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, j.Backup(ended, filepath.Join(folder, "b.db")), context.Canceled)
	require.NoError(t, j.Close())
	require.ErrorIs(t, j.Backup(ctx, filepath.Join(folder, "b.db")), journal.ErrClosed)
	left, err = os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
