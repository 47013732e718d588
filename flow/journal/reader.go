package journal

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// readers is how many reads of one journal go on at the same time.
const readers = 4

// A Reader reads a journal's file. It is safe for concurrent use.
type Reader struct {
	path  string
	pool  *sqlitex.Pool
	close func() error
}

// OpenReadOnly opens the journal in a file for reading, also while another process
// writes it. It does not create a file. Errors are a *DiskError.
func OpenReadOnly(path string) (*Reader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &DiskError{path, "open", err}
	}
	if err := mustBeFile(path); err != nil {
		return nil, &DiskError{path, "open", err}
	}
	r, err := openReader(path)
	if err != nil {
		return nil, &DiskError{path, "open", err}
	}
	return r, nil
}

func openReader(path string) (*Reader, error) {
	pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{
		Flags:       sqlite.OpenReadOnly,
		PoolSize:    readers,
		PrepareConn: func(conn *sqlite.Conn) error { conn.SetBusyTimeout(patience); return nil },
	})
	if err != nil {
		return nil, err
	}
	conn, err := pool.Take(context.Background())
	if err == nil {
		var version int
		if version, err = check(conn); err == nil && version < len(migrations()) {
			err = errOlder
		}
		pool.Put(conn)
	}
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &Reader{path: path, pool: pool, close: sync.OnceValue(pool.Close)}, nil
}

// Close ends the reads that are under way.
func (r *Reader) Close() error { return r.close() }

// Load is as in Journal.
func (r *Reader) Load(ctx context.Context, run string) (head Run, records []Record, err error) {
	err = r.read(ctx, func(conn *sqlite.Conn) error {
		heads, seqs, err := selectRuns(conn, "WHERE id = ?", run)
		if err != nil {
			return err
		}
		if len(heads) == 0 {
			return &NotFoundError{run}
		}
		head = heads[0]
		return query(conn, "SELECT at, kind, body FROM records WHERE run = ? ORDER BY seq", func(row *sqlite.Stmt) {
			records = append(records, Record{At: moment(row, 0), Kind: row.ColumnText(1), Body: blob(row, 2)})
		}, seqs[0])
	})
	if err != nil {
		return Run{}, nil, err
	}
	return head, records, nil
}

// List is as in Journal.
func (r *Reader) List(ctx context.Context, f Filter) (runs []Run, err error) {
	where, args := "WHERE true", []any{}
	if f.Status != "" {
		where, args = where+" AND status = ?", append(args, f.Status)
	}
	if f.Flow != "" {
		where, args = where+" AND flow = ?", append(args, f.Flow)
	}
	err = r.read(ctx, func(conn *sqlite.Conn) error {
		runs, _, err = selectRuns(conn, where+" ORDER BY runs.seq DESC LIMIT ?", append(args, f.limit())...)
		return err
	})
	return runs, err
}

// seq returns the number of a run.
func (r *Reader) seq(ctx context.Context, run string) (seq int64, err error) {
	err = r.read(ctx, func(conn *sqlite.Conn) error {
		err := query(conn, "SELECT seq FROM runs WHERE id = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, run)
		if err == nil && seq == 0 {
			return &NotFoundError{run}
		}
		return err
	})
	return seq, err
}

// read calls f on one state of the file.
func (r *Reader) read(ctx context.Context, f func(*sqlite.Conn) error) error {
	conn, err := r.pool.Take(ctx)
	if err != nil {
		return cmp.Or(ctx.Err(), ErrClosed)
	}
	defer r.pool.Put(conn)
	err = func() (err error) {
		defer sqlitex.Transaction(conn)(&err)
		return f(conn)
	}()
	var missing *NotFoundError
	switch {
	case err == nil || errors.As(err, &missing):
		return err
	case sqlite.ErrCode(err) == sqlite.ResultInterrupt:
		return cmp.Or(ctx.Err(), ErrClosed)
	}
	return &DiskError{r.path, "read", err}
}

// selectRuns returns the runs of a query, and their numbers.
func selectRuns(conn *sqlite.Conn, where string, args ...any) (runs []Run, seqs []int64, err error) {
	var plans []int64
	err = query(conn, `
		SELECT runs.seq, id, flow, plan, digest, version, status, started, ended
		FROM runs JOIN plans ON plans.seq = runs.plan `+where,
		func(row *sqlite.Stmt) {
			seqs = append(seqs, row.ColumnInt64(0))
			plans = append(plans, row.ColumnInt64(3))
			runs = append(runs, Run{
				ID:      row.ColumnText(1),
				Flow:    row.ColumnText(2),
				Digest:  row.ColumnText(4),
				Version: row.ColumnInt(5),
				Status:  row.ColumnText(6),
				Started: moment(row, 7),
				Ended:   moment(row, 8),
			})
		}, args...)
	if err != nil {
		return nil, nil, err
	}
	shared := map[int64]map[string]string{}
	for i, plan := range plans {
		if shared[plan] == nil {
			sources := map[string]string{}
			err := query(conn, "SELECT name, text FROM sources WHERE plan = ?", func(row *sqlite.Stmt) {
				sources[row.ColumnText(0)] = string(blob(row, 1))
			}, plan)
			if err != nil {
				return nil, nil, err
			}
			shared[plan] = sources
		}
		runs[i].Sources = shared[plan]
	}
	return runs, seqs, nil
}
