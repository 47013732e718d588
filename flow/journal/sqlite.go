package journal

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const (
	maxYoung = 1 << 13 // runs of which the numbers are remembered, and as many older ones
	maxWoken = 1 << 8  // runs that one write wakes: others do not wait long for it
	overhead = 64      // bytes that a row costs beside what is in it
)

// A DiskError says that a journal's file cannot be used. After one from writing, the
// journal writes nothing more: it has to be opened anew.
type DiskError = sqlitefile.DiskError

// SQLite is a journal in a file. Writes that come at the same time share one sync of the
// disk. Those that are not durable reach the disk within 20 milliseconds, or with the next
// that is durable, in order.
//
// Errors of the file are a *DiskError. The first one from writing is final.
type SQLite struct {
	reads
	file  *sqlitefile.File
	store *store // for writes alone
	late  *time.Timer

	mu          sync.Mutex
	young, aged map[string]int64 // the numbers of runs that were written lately
	forgotten   int              // how often some were pruned

	sweeping sync.Mutex
	swept    int64 // the run that Prune came to
}

// OpenSQLite opens the journal in a file, or creates one that only its owner can read. A
// file of an older version is brought up to date. While it is open no other process can
// open it, except with OpenReadOnly. Errors are a *DiskError.
func OpenSQLite(path string) (*SQLite, error) {
	file, err := sqlitefile.Open(path, kind())
	if err != nil {
		return nil, err
	}
	j := &SQLite{file: file, store: newStore(), young: map[string]int64{}, aged: map[string]int64{}}
	j.reads = j.after(j.store.foldAll)
	if err := file.Peek(context.Background(), j.store.load); err != nil {
		file.Close()
		return nil, err
	}
	file.Before(j.store.commit, j.store.foldAll)
	file.After(j.store.next)
	j.late = time.AfterFunc(foldAfter, func() { _ = j.file.Write(context.Background(), false, 0, j.store.foldLate) })
	j.late.Stop() // which on a machine that stalls may be too late
	j.store.later = func() { j.late.Reset(foldAfter) }
	return j, nil
}

// after reads what is in the tables after a fold.
func (j *SQLite) after(fold func(*sqlite.Conn) error) reads {
	return reads{func(ctx context.Context, see func(*sqlite.Conn) error) error { return j.file.ReadAfter(ctx, fold, see) }}
}

// Create implements Journal.
func (j *SQLite) Create(ctx context.Context, run Run, c Change) error {
	if c.Status == "" {
		c.Status, c.Ended = run.Status, run.Ended
	}
	size := c.size() + len(run.ID) + len(run.By) + len(run.Lock) + len(run.Inputs) + overhead
	body, took := c.encode(run.encode(make([]byte, 0, size))), c.Took
	asOf := j.now()
	var seq int64
	err := j.file.Write(ctx, true, len(body), func(conn *sqlite.Conn) (err error) {
		seq, err = j.store.create(conn, run, took, body)
		return err
	})
	switch {
	case err != nil:
		return err
	case seq == 0:
		return &ExistsError{run.ID}
	}
	j.remember(run.ID, seq, asOf)
	return nil
}

// Write implements Journal.
func (j *SQLite) Write(ctx context.Context, run string, durable bool, c Change) error {
	seq, err := j.row(ctx, run)
	if err != nil {
		return err
	}
	body, took := c.encode(make([]byte, 0, c.size())), c.Took
	pruned := false
	err = j.file.Write(ctx, durable, len(body), func(conn *sqlite.Conn) error {
		found, err := j.store.write(conn, run, seq, took, body)
		if durable {
			pruned = !found
		}
		return err
	})
	if err == nil && pruned {
		err = &NotFoundError{run}
	}
	return err
}

// Load implements Journal. A run that is only in the log is read from its draft: it is
// looked at so early because much happens, and a fold for each would undo what they save.
func (j *SQLite) Load(ctx context.Context, run string) (head Run, records []Record, err error) {
	asOf, drafted := j.now(), false
	err = j.file.Write(ctx, true, 0, func(conn *sqlite.Conn) (err error) {
		if d := j.store.ids[run]; d != nil && d.created {
			drafted = true
			head, records, err = j.store.read(conn, d)
		}
		return err
	})
	_, failed := errors.AsType[*DiskError](err)
	switch {
	case failed || err == nil && !drafted:
		head, records, err = j.after(func(conn *sqlite.Conn) error { return j.store.foldRun(conn, run) }).Load(ctx, run)
	case err != nil:
		return Run{}, nil, err
	}
	if err == nil && head.Ended.IsZero() {
		j.remember(run, head.Seq, asOf) // who loads it goes on with it
	}
	return head, records, err
}

// Events implements Journal.
func (j *SQLite) Events(ctx context.Context, name, subject, connection string, since time.Time) ([]Event, error) {
	return j.after(nil).Events(ctx, name, subject, connection, since)
}

// Open implements Journal.
func (j *SQLite) Open(ctx context.Context) ([]Event, error) { return j.after(nil).Open(ctx) }

// Notes implements Journal.
func (j *SQLite) Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error) {
	return j.after(nil).Notes(ctx, kind)
}

// Deliver implements Journal.
func (j *SQLite) Deliver(ctx context.Context, events []Event, wake []string) ([]bool, error) {
	size := 0
	for i := range events {
		size += overhead + len(events[i].Body)
	}
	fresh := make([]bool, len(events))
	err := j.file.Write(ctx, true, size, func(conn *sqlite.Conn) (err error) {
		for i := range events {
			if fresh[i], err = j.store.deliver(conn, &events[i]); err != nil {
				return err
			}
		}
		return j.store.wake(conn, wake)
	})
	return fresh, err
}

// Wake implements Journal.
func (j *SQLite) Wake(ctx context.Context, durable bool, runs ...string) error {
	for len(runs) > maxWoken {
		part := runs[:maxWoken]
		runs = runs[maxWoken:]
		if err := j.Wake(ctx, false, part...); err != nil {
			return err
		}
	}
	return j.file.Write(ctx, durable, overhead*len(runs), func(conn *sqlite.Conn) error {
		return j.store.wake(conn, runs)
	})
}

// Done implements Journal.
func (j *SQLite) Done(ctx context.Context, id string) error {
	return j.file.Write(ctx, false, overhead, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "UPDATE events SET done = 1 WHERE id = ?", nil, id)
	})
}

// Note implements Journal.
func (j *SQLite) Note(ctx context.Context, kind, name string, body json.RawMessage) error {
	return j.file.Write(ctx, true, overhead+len(body), func(conn *sqlite.Conn) error {
		if body == nil {
			return sqlitefile.Query(conn, "DELETE FROM notes WHERE kind = ? AND name = ?", nil, kind, name)
		}
		return sqlitefile.Query(conn, "INSERT INTO notes (kind, name, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = ?3", nil, kind, name, []byte(body))
	})
}

// Backup copies all that was written so far to a new file, while writing goes on. It
// returns once the copy would survive a crash. There must be no file of that name: it is
// never overwritten. The copy can be opened as a journal.
func (j *SQLite) Backup(ctx context.Context, path string) error {
	err := j.file.Write(ctx, true, 0, j.store.foldAll)
	if _, failed := errors.AsType[*DiskError](err); err != nil && !failed { // its log is in the copy, too
		return err
	}
	return j.file.Backup(ctx, path)
}

// Synchronous tells how much SQLite does so that what is written survives a crash: its
// PRAGMA synchronous, of the connection that writes. 2 is FULL: each commit is synced.
func (j *SQLite) Synchronous(ctx context.Context) (level int, err error) {
	err = j.file.Outside(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "PRAGMA synchronous", func(row *sqlite.Stmt) { level = row.ColumnInt(0) })
	})
	return level, err
}

// Close implements Journal.
func (j *SQLite) Close() error {
	j.late.Stop()
	return j.file.Close()
}

// row returns the number of a run, be it in the tables or in the log.
func (j *SQLite) row(ctx context.Context, run string) (int64, error) {
	if seq, ok := j.remembered(run); ok {
		return seq, nil
	}
	asOf := j.now()
	seq, err := reads{j.file.Peek}.number(ctx, run)
	if _, missing := errors.AsType[*NotFoundError](err); missing { // from the tables
		err = j.file.WriteSoon(ctx, 0, func(conn *sqlite.Conn) (err error) {
			seq, err = j.store.number(conn, run)
			return err
		})
		if err == nil && seq == 0 {
			err = &NotFoundError{run}
		}
	}
	if err == nil {
		j.remember(run, seq, asOf)
	}
	return seq, err
}

// now is for remember.
func (j *SQLite) now() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.forgotten
}

func (j *SQLite) remembered(run string) (seq int64, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq, ok = j.young[run]; !ok {
		seq, ok = j.aged[run]
	}
	return seq, ok
}

// remember notes the number of a run that was found after asOf, unless runs were pruned
// since: it may be one of them.
func (j *SQLite) remember(run string, seq int64, asOf int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if asOf != j.forgotten {
		return
	}
	if len(j.young) >= maxYoung {
		clear(j.aged) // which keeps its room
		j.young, j.aged = j.aged, j.young
	}
	j.young[run] = seq
}

func (j *SQLite) forget(runs []old) {
	if len(runs) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forgotten++
	for _, run := range runs {
		delete(j.young, run.id)
		delete(j.aged, run.id)
	}
}

// size is about how many bytes the stored form of a change has, and not less.
func (c Change) size() int {
	const number, text = 10, 12 // at most, and a name or a key before which its length is
	n := 4*number + text
	for _, r := range c.Records {
		n += 2*number + text + len(r.Body)
	}
	n += number*len(c.Recipients) + overhead*(len(c.Unknown)+len(c.Settled))
	if c.Waits != nil {
		n += overhead*(1+len(c.Waits.Subscriptions)+len(c.Waits.Keys)) + len(c.Waits.Note)
	}
	return n
}
