package sqlitefile

import (
	"errors"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// behind tells whether something is beside the tables that Recover brings into them.
func (k Kind) behind(conn *sqlite.Conn) (bool, error) {
	if k.Behind == "" {
		return false, nil
	}
	n, err := number(conn, k.Behind)
	return n > 0, err
}

// recover brings into the tables what a process that died left beside them. The caller
// knows that no other process writes the file.
func (k Kind) recover(conn *sqlite.Conn) (err error) {
	if behind, err := k.behind(conn); err != nil || !behind {
		return err
	}
	end, err := sqlitex.ImmediateTransaction(conn)
	if err != nil {
		return err
	}
	defer end(&err)
	return k.Recover(conn)
}

// recoverDead does so unless another process has the file open for writing, which will do
// so itself, and may be too busy to leave room for a transaction of another. One that opens
// it meanwhile waits for this one's transaction, not for its lock on the file beside, which
// is held for a moment only.
func (k Kind) recoverDead(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if dead, err := nobodyWrites(target); err != nil || !dead {
		return err
	}
	return onceWritable(target, func(conn *sqlite.Conn) error {
		if dead, err := nobodyWrites(target); err != nil || !dead {
			return err
		}
		if err := k.Recover(conn); err != nil {
			return err
		}
		return sqlitex.ExecuteTransient(conn, "COMMIT", nil)
	}, "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE")
}

// mostCopied is how many bytes of a file are copied into memory.
const mostCopied = 1 << 30

// openCopy reads a file that cannot be written, as on a full disk: a copy in memory, as the
// file is now, with what is beside its tables in them.
func (k Kind) openCopy(path string) (*Reader, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > mostCopied {
		err = errors.New("it is too large for a copy in memory")
	}
	if err != nil {
		return nil, err
	}
	return k.newReader(path, "file::memory:", sqlitex.PoolOptions{
		Flags:       sqlite.OpenReadWrite | sqlite.OpenCreate | sqlite.OpenURI,
		PoolSize:    1, // another one would be another copy
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

// nobodyWrites tells whether no process has a file open for writing that is not shared.
func nobodyWrites(path string) (bool, error) {
	alone, err := lock(path+lockSuffix, moment) // for another that asks this, too
	switch {
	case errors.Is(err, ErrInUse):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, alone.Close()
}

// onceWritable calls do with a connection of its own to a file, after the statements.
// A transaction that is open then is rolled back.
func onceWritable(path string, do func(*sqlite.Conn) error, statements ...string) (err error) {
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
