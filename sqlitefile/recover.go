package sqlitefile

import (
	"errors"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// needsRecovery tells whether there is something to recover.
func (k Kind) needsRecovery(conn *sqlite.Conn) (bool, error) {
	if k.NeedsRecovery == "" {
		return false, nil
	}
	n, err := queryInt(conn, k.NeedsRecovery)
	return n > 0, err
}

// recover recovers what a process that died left behind. The caller knows that no other process
// writes the file.
func (k Kind) recover(conn *sqlite.Conn) (err error) {
	if behind, err := k.needsRecovery(conn); err != nil || !behind {
		return err
	}
	end, err := sqlitex.ImmediateTransaction(conn)
	if err != nil {
		return err
	}
	defer end(&err)
	return k.Recover(conn)
}

// recoverAbandoned recovers the file unless another process has it open for writing: that one
// recovers it itself, and may be too busy to admit another's transaction. A process that opens the
// file meanwhile waits for this transaction, not for the lock file, which is only held briefly.
func (k Kind) recoverAbandoned(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if dead, err := hasNoWriter(target); err != nil || !dead {
		return err
	}
	return withWritable(target, func(conn *sqlite.Conn) error {
		if dead, err := hasNoWriter(target); err != nil || !dead {
			return err
		}
		if err := k.Recover(conn); err != nil {
			return err
		}
		return sqlitex.ExecuteTransient(conn, "COMMIT", nil)
	}, "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE")
}

// maxCopySize bounds the files that are copied into memory, in bytes.
const maxCopySize = 1 << 30

// openCopy opens a recovered copy, in memory, of a file that cannot be written, as on a full disk.
func (k Kind) openCopy(path string) (*Reader, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxCopySize {
		err = errors.New("it is too large for a copy in memory")
	}
	if err != nil {
		return nil, err
	}
	return k.newReader(path, "file::memory:", sqlitex.PoolOptions{
		Flags:       sqlite.OpenReadWrite | sqlite.OpenCreate | sqlite.OpenURI,
		PoolSize:    1, // each connection has a copy of its own
		PrepareConn: func(conn *sqlite.Conn) error { return errors.Join(copyFile(conn, path), k.Recover(conn)) },
	})
}

// copyFile copies a file into an empty database.
func copyFile(to *sqlite.Conn, path string) (err error) {
	from, err := openConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	b, err := sqlite.NewBackup(to, "main", from, "main")
	if err != nil {
		return err
	}
	_, err = b.Step(-1)
	return errors.Join(err, b.Close())
}

// hasNoWriter tells whether no process has an unshared file open for writing.
func hasNoWriter(path string) (bool, error) {
	alone, err := lock(path+lockSuffix, shortLockTimeout) // another process may be asking the same
	switch {
	case errors.Is(err, ErrInUse):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, alone.Close()
}

// withWritable runs statements and then do on a new connection. A transaction that is still open at
// the end is rolled back.
func withWritable(path string, do func(*sqlite.Conn) error, statements ...string) (err error) {
	conn, err := openConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, s := range statements {
		if err := sqlitex.ExecuteTransient(conn, s, nil); err != nil {
			return err
		}
	}
	return do(conn)
}
