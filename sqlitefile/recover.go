package sqlitefile

import (
	"errors"
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
// so itself. One that opens it meanwhile waits for this one's transaction, not for its lock
// on the file beside, which is held for a moment only.
func (k Kind) recoverDead(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return onceWritable(target, func(conn *sqlite.Conn) error {
		alone, err := lock(target+lockSuffix, 0)
		if errors.Is(err, ErrInUse) {
			return nil
		}
		if err == nil {
			err = alone.Close()
		}
		if err == nil {
			err = k.Recover(conn)
		}
		if err == nil {
			err = sqlitex.ExecuteTransient(conn, "COMMIT", nil)
		}
		return err
	}, "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE")
}

// onceWritable calls do with a connection of its own to a file, after the statements.
// A transaction that is open then is rolled back.
func onceWritable(path string, do func(*sqlite.Conn) error, statements ...string) (err error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetBusyTimeout(patience)
	for _, s := range statements {
		if err := sqlitex.ExecuteTransient(conn, s, nil); err != nil {
			return err
		}
	}
	return do(conn)
}
