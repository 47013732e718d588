package sqlitefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// makeFile creates the file and its folder, for their owner alone, if they are not there. It
// resolves symbolic links, so that all names of the file share one lock.
func makeFile(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return path, err
	}
	if err := touch(path); err != nil {
		return path, err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path, err
	}
	return target, mustBeFile(target)
}

func mustBeFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errNoFile
	}
	return err
}

// touch creates a file that only its owner can read, unless it exists.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// openConn opens a connection that waits up to lockTimeout for the locks of other processes.
func openConn(path string, flags sqlite.OpenFlags) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, flags)
	if err == nil {
		conn.SetBusyTimeout(lockTimeout)
	}
	return conn, err
}

// Lock takes the lock of an unshared file without opening it, until the result is closed or the
// process ends. If another process has the lock, the error is ErrInUse.
func Lock(path string) (io.Closer, error) {
	folder, err := filepath.EvalSymlinks(filepath.Dir(path)) // so that all names of it share the lock
	if err != nil {
		return nil, &DiskError{"data folder", path, "lock", err}
	}
	conn, err := lock(filepath.Join(folder, filepath.Base(path))+lockSuffix, 0)
	if err != nil {
		return nil, &DiskError{"data folder", path, "lock", err}
	}
	return conn, nil
}

// lockSuffix is appended to a file's name for that of its lock file.
const lockSuffix = "-lock"

// lock locks a lock file until the connection is closed or the process ends; it waits for that as
// long as wait. The database itself is not locked, so that others can read it. The lock is one of
// SQLite's, which work on every system.
func lock(path string, wait time.Duration) (*sqlite.Conn, error) {
	if err := touch(path); err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(wait)
	for _, q := range []string{"PRAGMA journal_mode = OFF", "BEGIN EXCLUSIVE"} {
		if err = sqlitex.ExecuteTransient(conn, q, nil); err != nil {
			break
		}
	}
	if err == nil {
		return conn, nil
	}
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy {
		err = ErrInUse
	}
	return nil, errors.Join(err, conn.Close())
}
