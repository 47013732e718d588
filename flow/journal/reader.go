package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A Reader reads a journal's file. It is safe for concurrent use.
type Reader struct {
	queries
	file *sqlitefile.Reader
	// Behind says that the latest writes of the other process are not seen: it has not
	// flushed them in time, because it is stopped or its disk has failed.
	Behind bool
}

// OpenReadOnly opens the journal in a file for reading, also while another process writes
// it. It sees what was durable before, unless the reader is Behind, and what is written
// later within a second. If the other process has died, what it left in the log is flushed
// to the tables first; if the file cannot be written, everything is read from a copy in
// memory. It does not create a file. Errors are a *DiskError.
func OpenReadOnly(path string) (*Reader, error) {
	file, err := sqlitefile.OpenReadOnly(path, fileKind())
	if err != nil {
		return nil, err
	}
	r := &Reader{queries: queries{file.Read}, file: file}
	if r.Behind, err = r.awaitFlush(context.Background()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// awaitFlush waits until what is in the log now has been flushed to the tables, and reports
// whether some is left: it gives up after twice the time that a working process takes.
func (r *Reader) awaitFlush(ctx context.Context) (left bool, err error) {
	last := int64(0)
	err = r.file.Read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT max(seq), count(*) FROM log", func(row *sqlite.Stmt) { last, left = row.ColumnInt64(0), row.ColumnInt(1) > 0 })
	})
	for end := time.Now().Add(4 * flushDelay); err == nil && left && time.Now().Before(end); time.Sleep(flushDelay / 20) {
		err = r.file.Read(ctx, func(conn *sqlite.Conn) error {
			return sqlitefile.Query(conn, "SELECT EXISTS (SELECT 1 FROM log WHERE seq <= ?)", func(row *sqlite.Stmt) { left = row.ColumnBool(0) }, last)
		})
	}
	return left, err
}

// Backup is as in SQLite.
func (r *Reader) Backup(ctx context.Context, path string) error { return r.file.Backup(ctx, path) }

// Close ends the reads that are under way.
func (r *Reader) Close() error { return r.file.Close() }

// queries are the reading methods of SQLite and Reader. Each reads one snapshot of the file.
// They also work after the disk has failed, and return what is there. Errors of the file are
// a *DiskError.
type queries struct {
	read func(ctx context.Context, do func(*sqlite.Conn) error) error
}

// Load is as in Journal.
func (r queries) Load(ctx context.Context, run string) (head Run, records []Record, err error) {
	found := false
	err = r.read(ctx, func(conn *sqlite.Conn) error {
		h := headReader{conn: conn, withSources: true}
		if head, found, err = h.run(headByID, run); err != nil || !found {
			return err
		}
		if records, err = firstRecords(conn, head.Seq); err != nil {
			return err
		}
		return sqlitefile.Query(conn, selectRecords, func(row *sqlite.Stmt) {
			records = append(records, Record{At: columnTime(row, 0), Kind: row.ColumnText(1), Body: sqlitefile.Blob(row, 2)})
		}, head.Seq)
	})
	switch {
	case err != nil:
		return Run{}, nil, err
	case !found:
		return Run{}, nil, &NotFoundError{run}
	}
	return head, records, nil
}

// Unfinished is as in Journal.
func (r queries) Unfinished(ctx context.Context, each func(Run, Waits) error) error {
	var eachErr error
	err := r.read(ctx, func(conn *sqlite.Conn) error {
		h := headReader{conn: conn}
		if err := h.loadPlans(); err != nil {
			return err
		}
		names := stringPool{}
		var waits []byte
		var waitsErr error
		err := sqlitefile.QueryUntil(conn, selectUnfinished, func(row *sqlite.Stmt) bool {
			run, plan := columnHead(row)
			run.Flow, run.Digest = h.plans[plan].flow, h.plans[plan].digest
			waits = slices.Grow(waits[:0], row.ColumnLen(waitsColumn))
			waits = waits[:row.ColumnBytes(waitsColumn, waits[:cap(waits)])]
			var w Waits
			if w, waitsErr = decodeWaits(waits, names); waitsErr == nil {
				eachErr = each(run, w)
			}
			return waitsErr == nil && eachErr == nil
		})
		return cmp.Or(err, waitsErr)
	})
	return cmp.Or(err, eachErr)
}

// Notes is as in Journal.
func (r queries) Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error) {
	notes := map[string]json.RawMessage{}
	err := r.read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT name, body FROM notes WHERE kind = ?", func(row *sqlite.Stmt) {
			notes[row.ColumnText(0)] = sqlitefile.Blob(row, 1)
		}, kind)
	})
	if err != nil {
		return nil, err
	}
	return notes, nil
}

// number returns the number of a run.
func (r queries) number(ctx context.Context, run string) (seq int64, err error) {
	err = r.read(ctx, func(conn *sqlite.Conn) (err error) {
		seq, err = numberOf(conn, run)
		return err
	})
	if err == nil && seq == 0 {
		err = &NotFoundError{run}
	}
	return seq, err
}

// numberOf returns the number of a run in the tables, 0 if it is not there.
func numberOf(conn *sqlite.Conn, run string) (seq int64, err error) {
	err = sqlitefile.Query(conn, "SELECT seq FROM runs WHERE id = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, run)
	return seq, err
}

// A headReader reads the heads of runs from one snapshot of the file.
type headReader struct {
	conn        *sqlite.Conn
	withSources bool
	plans       map[int64]planRow
}

type planRow struct {
	flow, digest string
	sources      map[string]string
}

const (
	headColumns = "runs.seq, id, runs.plan, version, name, started, ended, unknown, starter, lock, inputs"
	waitsColumn = 11 // the column after them

	selectHead = "SELECT " + headColumns + ` FROM runs LEFT JOIN open ON open.run = runs.seq
		JOIN statuses ON code = coalesce(open.status, runs.status) WHERE runs.`
	headBySeq = selectHead + "seq = ?"
	headByID  = selectHead + "id = ?"

	selectUnfinished = "SELECT " + headColumns + `, waits FROM open CROSS JOIN runs ON runs.seq = open.run
		JOIN statuses ON code = open.status ORDER BY open.run`
	selectRecords = "SELECT at, kind, body FROM records WHERE run = ? ORDER BY seq"
)

func columnHead(row *sqlite.Stmt) (run Run, plan int64) {
	return Run{
		Seq:     row.ColumnInt64(0),
		ID:      row.ColumnText(1),
		Version: row.ColumnInt(3),
		Status:  row.ColumnText(4),
		Started: columnTime(row, 5),
		Ended:   columnTime(row, 6),
		Unknown: row.ColumnInt(7),
		By:      row.ColumnText(8),
		Lock:    row.ColumnText(9),
		Inputs:  sqlitefile.Blob(row, 10),
	}, row.ColumnInt64(2)
}

// run returns the run that headBySeq or headByID selects.
func (h *headReader) run(query string, arg any) (run Run, found bool, err error) {
	var plan int64
	err = sqlitefile.Query(h.conn, query, func(row *sqlite.Stmt) {
		run, plan = columnHead(row)
		found = true
	}, arg)
	if err != nil || !found {
		return run, false, err
	}
	p, ok := h.plans[plan]
	if !ok {
		if p, err = h.plan(plan); err != nil {
			return run, false, err
		}
	}
	run.Flow, run.Digest, run.Sources = p.flow, p.digest, p.sources
	return run, true, nil
}

func (h *headReader) plan(seq int64) (p planRow, err error) {
	err = sqlitefile.Query(h.conn, "SELECT flow, digest FROM plans WHERE seq = ?", func(row *sqlite.Stmt) {
		p = planRow{flow: row.ColumnText(0), digest: row.ColumnText(1)}
	}, seq)
	if err == nil && h.withSources {
		p.sources = map[string]string{}
		err = sqlitefile.Query(h.conn, "SELECT name, text FROM sources WHERE plan = ?", func(row *sqlite.Stmt) {
			p.sources[row.ColumnText(0)] = string(sqlitefile.Blob(row, 1))
		}, seq)
	}
	if err != nil {
		return planRow{}, err
	}
	if h.plans == nil {
		h.plans = map[int64]planRow{}
	}
	h.plans[seq] = p
	return p, nil
}

// loadPlans reads all plans, without their sources.
func (h *headReader) loadPlans() error {
	h.plans = map[int64]planRow{}
	return sqlitefile.Query(h.conn, "SELECT seq, flow, digest FROM plans", func(row *sqlite.Stmt) {
		h.plans[row.ColumnInt64(0)] = planRow{flow: row.ColumnText(1), digest: row.ColumnText(2)}
	})
}

// planNumbers returns the plans of a flow, or all for "".
func planNumbers(conn *sqlite.Conn, flow string) (seqs []int64, err error) {
	add := func(row *sqlite.Stmt) { seqs = append(seqs, row.ColumnInt64(0)) }
	if flow == "" {
		err = sqlitefile.Query(conn, "SELECT seq FROM plans", add)
	} else {
		err = sqlitefile.Query(conn, "SELECT seq FROM plans WHERE flow = ?", add, flow)
	}
	return seqs, err
}

// statusCodes returns the code of a status, or all for "".
func statusCodes(conn *sqlite.Conn, name string) (codes []int64, err error) {
	all := map[string]int64{}
	err = sqlitefile.Query(conn, "SELECT name, code FROM statuses", func(row *sqlite.Stmt) { all[row.ColumnText(0)] = row.ColumnInt64(1) })
	if name == "" || err != nil {
		return slices.Collect(maps.Values(all)), err
	}
	if code, ok := all[name]; ok {
		codes = []int64{code}
	}
	return codes, nil
}
