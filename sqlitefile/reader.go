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

// readers is how many reads of one file go on at the same time.
const readers = 4

// A Reader reads a file. It is safe for concurrent use.
type Reader struct {
	name, path string
	pool       *sqlitex.Pool
	close      func() error
}

// OpenReadOnly opens a file for reading, also while another process writes it. It does
// not create a file. What a process that died left beside the tables is brought into them
// first; where the file cannot be written, only into a copy in memory. Errors are a
// *DiskError.
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
		behind, err = kind.behind(conn)
		return err
	})
	if err == nil && behind {
		if err = kind.recoverDead(path); err != nil {
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
		PoolSize:    readers,
		PrepareConn: func(conn *sqlite.Conn) error { conn.SetBusyTimeout(patience); return nil },
	})
}

// newReader reads what is at the URI: the file at the path, or a copy of it.
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

// Close ends the reads that are under way.
func (r *Reader) Close() error { return r.close() }

// Read calls see on one state of the file. What see returns is an error of the file; what
// else it finds out it leaves in variables of its caller.
func (r *Reader) Read(ctx context.Context, see func(*sqlite.Conn) error) error {
	conn, err := r.pool.Take(ctx)
	if err != nil {
		return cmp.Or(ctx.Err(), ErrClosed)
	}
	defer r.pool.Put(conn)
	err = func() (err error) {
		defer sqlitex.Transaction(conn)(&err)
		return see(conn)
	}()
	switch {
	case err == nil:
		return nil
	case sqlite.ErrCode(err) == sqlite.ResultInterrupt:
		return cmp.Or(ctx.Err(), ErrClosed)
	}
	return &DiskError{r.name, r.path, "read", err}
}
