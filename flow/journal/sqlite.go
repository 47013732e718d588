package journal

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"facteur/sqlitefile"
)

// maxRows is of how many runs the numbers are remembered.
const maxRows = 1 << 16

// A DiskError says that a journal's file cannot be used. After one from writing, the
// journal writes nothing more: it has to be opened anew.
type DiskError = sqlitefile.DiskError

// SQLite is a journal in a file. Appends that come at the same time share one sync of the
// disk. Those that are not durable reach the disk within 20 milliseconds, or with the next
// that is durable, in order.
//
// Errors of the file are a *DiskError. The first one from writing is final.
type SQLite struct {
	file  *sqlitefile.File
	plans plans // for writes alone

	mu   sync.Mutex
	rows map[string]int64 // the numbers of runs that were appended to lately
}

// OpenSQLite opens the journal in a file, or creates one that only its owner can read. A
// file of an older version is brought up to date. While it is open no other process can
// open it, except with OpenReadOnly. Errors are a *DiskError.
func OpenSQLite(path string) (*SQLite, error) {
	file, err := sqlitefile.Open(path, kind())
	if err != nil {
		return nil, err
	}
	return &SQLite{file: file, plans: plans{}, rows: map[string]int64{}}, nil
}

// Create implements Journal.
func (j *SQLite) Create(ctx context.Context, run Run, c Change) error {
	var seq int64
	hash := planHash(run)
	err := j.file.Write(ctx, true, size(c.Records...), func(conn *sqlite.Conn) (err error) {
		if seq, err = j.plans.create(conn, run, hash); err != nil || seq == 0 {
			return err
		}
		return apply(conn, seq, c)
	})
	switch {
	case err != nil:
		return err
	case seq == 0:
		return &ExistsError{run.ID}
	}
	j.remember(run.ID, seq)
	return nil
}

// Write implements Journal.
func (j *SQLite) Write(ctx context.Context, run string, durable bool, c Change) error {
	seq, err := j.row(ctx, run)
	if err != nil {
		return err
	}
	err = j.file.Write(ctx, durable, size(c.Records...), func(conn *sqlite.Conn) error {
		return apply(conn, seq, c)
	})
	if err == nil && !c.Ended.IsZero() {
		j.forget(run)
	}
	return err
}

// Append implements Journal.
func (j *SQLite) Append(ctx context.Context, run string, durable bool, records ...Record) error {
	return j.Write(ctx, run, durable, Change{Records: records})
}

// End implements Journal.
func (j *SQLite) End(ctx context.Context, run, status string, at time.Time, records ...Record) error {
	return j.Write(ctx, run, true, Change{Records: records, Status: status, Ended: at})
}

// Load implements Journal. It works also after the disk has failed, and returns what is
// there.
func (j *SQLite) Load(ctx context.Context, run string) (Run, []Record, error) {
	return load(ctx, j.file.Read, run)
}

// List implements Journal. It works also after the disk has failed.
func (j *SQLite) List(ctx context.Context, f Filter) ([]Run, error) {
	return list(ctx, j.file.Read, f)
}

// Close implements Journal.
func (j *SQLite) Close() error { return j.file.Close() }

// row returns the number of a run. Create is durable, so that it is in the file.
func (j *SQLite) row(ctx context.Context, run string) (int64, error) {
	j.mu.Lock()
	seq, ok := j.rows[run]
	j.mu.Unlock()
	if ok {
		return seq, nil
	}
	seq, err := number(ctx, j.file.Peek, run)
	if err == nil {
		j.remember(run, seq)
	}
	return seq, err
}

func (j *SQLite) remember(run string, seq int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.rows) >= maxRows {
		for other := range j.rows { // any one
			delete(j.rows, other)
			break
		}
	}
	j.rows[run] = seq
}

func (j *SQLite) forget(run string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.rows, run)
}

var errNotYet = errors.New("not yet")

func (j *SQLite) Unfinished(context.Context, func(Run, Waits) error) error    { return errNotYet }
func (j *SQLite) Deliver(context.Context, Event, []string) (bool, error)      { return false, errNotYet }
func (j *SQLite) Wake(context.Context, bool, ...string) error                 { return errNotYet }
func (j *SQLite) Open(context.Context) ([]Event, error)                       { return nil, errNotYet }
func (j *SQLite) Done(context.Context, string) error                          { return errNotYet }
func (j *SQLite) Note(context.Context, string, string, json.RawMessage) error { return errNotYet }
func (j *SQLite) Notes(context.Context, string) (map[string]json.RawMessage, error) {
	return nil, errNotYet
}
func (j *SQLite) Prune(context.Context, time.Time, int) (int, error) { return 0, errNotYet }
func (j *SQLite) Events(context.Context, string, string, string, time.Time) ([]Event, error) {
	return nil, errNotYet
}
