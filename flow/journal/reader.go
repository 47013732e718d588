package journal

import (
	"context"

	"zombiezen.com/go/sqlite"

	"facteur/sqlitefile"
)

// A Reader reads a journal's file. It is safe for concurrent use.
type Reader struct{ file *sqlitefile.Reader }

// OpenReadOnly opens the journal in a file for reading, also while another process
// writes it. It does not create a file. Errors are a *DiskError.
func OpenReadOnly(path string) (*Reader, error) {
	file, err := sqlitefile.OpenReadOnly(path, kind())
	if err != nil {
		return nil, err
	}
	return &Reader{file}, nil
}

// Close ends the reads that are under way.
func (r *Reader) Close() error { return r.file.Close() }

// Load is as in Journal.
func (r *Reader) Load(ctx context.Context, run string) (Run, []Record, error) {
	return load(ctx, r.file.Read, run)
}

// List is as in Journal.
func (r *Reader) List(ctx context.Context, f Filter) ([]Run, error) {
	return list(ctx, r.file.Read, f)
}

// A read shows one state of a file.
type read func(ctx context.Context, see func(*sqlite.Conn) error) error

func load(ctx context.Context, read read, run string) (head Run, records []Record, err error) {
	found := false
	err = read(ctx, func(conn *sqlite.Conn) error {
		heads, seqs, err := selectRuns(conn, "WHERE id = ?", run)
		if err != nil || len(heads) == 0 {
			return err
		}
		head, found = heads[0], true
		return sqlitefile.Query(conn, "SELECT at, kind, body FROM records WHERE run = ? ORDER BY seq", func(row *sqlite.Stmt) {
			records = append(records, Record{At: sqlitefile.Time(row, 0), Kind: row.ColumnText(1), Body: sqlitefile.Blob(row, 2)})
		}, seqs[0])
	})
	switch {
	case err != nil:
		return Run{}, nil, err
	case !found:
		return Run{}, nil, &NotFoundError{run}
	}
	return head, records, nil
}

func list(ctx context.Context, read read, f Filter) (runs []Run, err error) {
	where, args := "WHERE true", []any{}
	if f.Status != "" {
		where, args = where+" AND status = ?", append(args, f.Status)
	}
	if f.Flow != "" {
		where, args = where+" AND flow = ?", append(args, f.Flow)
	}
	err = read(ctx, func(conn *sqlite.Conn) error {
		runs, _, err = selectRuns(conn, where+" ORDER BY runs.seq DESC LIMIT ?", append(args, f.limit())...)
		return err
	})
	return runs, err
}

// number returns the number of a run.
func number(ctx context.Context, read read, run string) (seq int64, err error) {
	err = read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT seq FROM runs WHERE id = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, run)
	})
	if err == nil && seq == 0 {
		err = &NotFoundError{run}
	}
	return seq, err
}

// selectRuns returns the runs of a query, and their numbers.
func selectRuns(conn *sqlite.Conn, where string, args ...any) (runs []Run, seqs []int64, err error) {
	var plans []int64
	err = sqlitefile.Query(conn, `
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
				Started: sqlitefile.Time(row, 7),
				Ended:   sqlitefile.Time(row, 8),
			})
		}, args...)
	if err != nil {
		return nil, nil, err
	}
	shared := map[int64]map[string]string{}
	for i, plan := range plans {
		if shared[plan] == nil {
			sources := map[string]string{}
			err := sqlitefile.Query(conn, "SELECT name, text FROM sources WHERE plan = ?", func(row *sqlite.Stmt) {
				sources[row.ColumnText(0)] = string(sqlitefile.Blob(row, 1))
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
