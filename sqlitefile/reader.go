package sqlitefile

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// maxReads is how many reads of one Reader run at the same time.
const maxReads = 4

// A Reader reads a file. It is safe for concurrent use.
type Reader struct {
	name, path string
	pool       *sqlitex.Pool
	close      func() error
}

// OpenReadOnly opens an existing file for reading, also while another process writes it. If a
// process that died left something to recover, that is recovered first; if the file cannot be
// written, in a copy in memory. Errors are a *DiskError.
func OpenReadOnly(path string, kind Kind) (*Reader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &DiskError{kind.Name, path, "open", err}
	}
	if err := mustBeFile(path); err != nil {
		return nil, &DiskError{kind.Name, path, "open", err}
	}
	r, err := kind.openReader(path)
	if err != nil {
		return nil, &DiskError{kind.Name, path, "open", err}
	}
	behind := false
	err = r.Read(context.Background(), func(conn *sqlite.Conn) (err error) {
		behind, err = kind.needsRecovery(conn)
		return err
	})
	if err == nil && behind {
		if err = kind.recoverAbandoned(path); err != nil {
			if copied, failed := kind.openCopy(path); failed == nil {
				return copied, r.Close()
			}
		}
	}
	if err != nil {
		return nil, &DiskError{kind.Name, path, "open", errors.Join(err, r.Close())}
	}
	return r, nil
}

func (k Kind) openReader(path string) (*Reader, error) {
	return k.newReader(path, path, sqlitex.PoolOptions{
		Flags:       sqlite.OpenReadOnly,
		PoolSize:    maxReads,
		PrepareConn: func(conn *sqlite.Conn) error { conn.SetBusyTimeout(lockTimeout); return nil },
	})
}

// newReader reads the database at uri: the file at path, or a copy of it.
func (k Kind) newReader(path, uri string, o sqlitex.PoolOptions) (*Reader, error) {
	pool, err := sqlitex.NewPool(uri, o)
	if err != nil {
		return nil, err
	}
	conn, err := pool.Take(context.Background())
	if err == nil {
		var version int
		if version, err = k.check(conn); err == nil && version < len(k.Migrations) {
			err = ErrOlder
		}
		pool.Put(conn)
	}
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &Reader{name: k.Name, path: path, pool: pool, close: sync.OnceValue(pool.Close)}, nil
}

// Close interrupts the reads in progress.
func (r *Reader) Close() error { return r.close() }

// Read calls read in one transaction. An error of read is returned as a *DiskError; read leaves its
// results in variables of its caller.
func (r *Reader) Read(ctx context.Context, read func(*sqlite.Conn) error) error {
	conn, err := r.pool.Take(ctx)
	if err != nil {
		return cmp.Or(ctx.Err(), ErrClosed)
	}
	defer r.pool.Put(conn)
	err = func() (err error) {
		defer sqlitex.Transaction(conn)(&err)
		return read(conn)
	}()
	switch {
	case err == nil:
		return nil
	case sqlite.ErrCode(err) == sqlite.ResultInterrupt:
		return cmp.Or(ctx.Err(), ErrClosed)
	}
	return &DiskError{r.name, r.path, "read", err}
}
