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
	maxCachedNumbers = 1 << 13 // in SQLite.recent, and as many in older
	wakeBatch        = 1 << 8  // runs that one transaction wakes: other writes do not wait long for it
	overhead         = 64      // bytes that a row takes besides its values
)

// A DiskError says that a journal's file cannot be used. After one from a write all later
// writes fail: the journal has to be opened anew.
type DiskError = sqlitefile.DiskError

// SQLite is a journal in a file. Concurrent writes share one sync of the disk. Those that are
// not durable reach the disk within 20 milliseconds, or with the next durable one, in order.
//
// Errors of the file are a *DiskError. The first one from a write is final.
type SQLite struct {
	queries
	file       *sqlitefile.File
	store      *store // only within writes
	flushTimer *time.Timer

	mu            sync.Mutex
	recent, older map[string]int64 // two generations of a cache: numbers of runs by id
	prunes        int              // how often runs were removed from it

	pruneMu   sync.Mutex
	pruneFrom int64 // the number of the run where the next Prune starts
}

// OpenSQLite opens the journal in a file, or creates one that only its owner can read. It
// migrates a file of an older version. While it is open no other process can open it, except
// with OpenReadOnly. Errors are a *DiskError.
func OpenSQLite(path string) (*SQLite, error) {
	file, err := sqlitefile.Open(path, fileKind())
	if err != nil {
		return nil, err
	}
	j := &SQLite{file: file, store: newStore(), recent: map[string]int64{}, older: map[string]int64{}}
	j.queries = j.afterFlush(j.store.flushAll)
	if err := file.Peek(context.Background(), j.store.load); err != nil {
		file.Close()
		return nil, err
	}
	file.OnCommit(j.store.commit, j.store.flushAll)
	file.AfterCommit(j.store.flushIfLarge)
	j.flushTimer = time.AfterFunc(flushDelay, func() { _ = j.file.Write(context.Background(), false, 0, j.store.flushOld) })
	j.flushTimer.Stop() // if it has fired already, on a stalled machine, the flush does no harm
	j.store.startTimer = func() { j.flushTimer.Reset(flushDelay) }
	return j, nil
}

// afterFlush returns queries that read the tables after a flush.
func (j *SQLite) afterFlush(flush func(*sqlite.Conn) error) queries {
	return queries{func(ctx context.Context, do func(*sqlite.Conn) error) error { return j.file.ReadAfter(ctx, flush, do) }}
}

// Create implements Journal.
func (j *SQLite) Create(ctx context.Context, run Run, c Change) error {
	if c.Status == "" {
		c.Status, c.Ended = run.Status, run.Ended
	}
	size := c.size() + len(run.ID) + len(run.By) + len(run.Lock) + len(run.Inputs) + overhead
	body, consumed := c.encode(run.encode(make([]byte, 0, size))), c.Consumed
	prunes := j.pruneCount()
	var seq int64
	err := j.file.Write(ctx, true, len(body), func(conn *sqlite.Conn) (err error) {
		seq, err = j.store.create(conn, run, consumed, body)
		return err
	})
	switch {
	case err != nil:
		return err
	case seq == 0:
		return &ExistsError{run.ID}
	}
	j.cacheNumber(run.ID, seq, prunes)
	return nil
}

// Write implements Journal.
func (j *SQLite) Write(ctx context.Context, run string, durable bool, c Change) error {
	seq, err := j.number(ctx, run)
	if err != nil {
		return err
	}
	body, consumed := c.encode(make([]byte, 0, c.size())), c.Consumed
	pruned := false
	err = j.file.Write(ctx, durable, len(body), func(conn *sqlite.Conn) error {
		found, err := j.store.write(conn, run, seq, consumed, body)
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

// Load implements Journal. A run that is only in the log is read from its pendingRun: runs
// are loaded that early when the host is busy, and a flush for each would cost more than
// flushing late saves.
func (j *SQLite) Load(ctx context.Context, run string) (head Run, records []Record, err error) {
	prunes, pending := j.pruneCount(), false
	err = j.file.Write(ctx, true, 0, func(conn *sqlite.Conn) (err error) {
		if p := j.store.pendingByID[run]; p != nil && p.created {
			pending = true
			head, records, err = j.store.readPending(conn, p)
		}
		return err
	})
	_, failed := errors.AsType[*DiskError](err)
	switch {
	case failed || err == nil && !pending:
		head, records, err = j.afterFlush(func(conn *sqlite.Conn) error { return j.store.flushRun(conn, run) }).Load(ctx, run)
	case err != nil:
		return Run{}, nil, err
	}
	if err == nil && head.Ended.IsZero() {
		j.cacheNumber(run, head.Seq, prunes) // its writes will follow
	}
	return head, records, err
}

// Events implements Journal.
func (j *SQLite) Events(ctx context.Context, name, subject, connection string, since time.Time) ([]Event, error) {
	return j.afterFlush(nil).Events(ctx, name, subject, connection, since)
}

// OpenEvents implements Journal.
func (j *SQLite) OpenEvents(ctx context.Context) ([]Event, error) {
	return j.afterFlush(nil).OpenEvents(ctx)
}

// Notes implements Journal.
func (j *SQLite) Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error) {
	return j.afterFlush(nil).Notes(ctx, kind)
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
			if fresh[i], err = j.store.insertEvent(conn, &events[i]); err != nil {
				return err
			}
		}
		return j.store.wake(conn, wake)
	})
	return fresh, err
}

// Wake implements Journal.
func (j *SQLite) Wake(ctx context.Context, durable bool, runs ...string) error {
	for len(runs) > wakeBatch {
		part := runs[:wakeBatch]
		runs = runs[wakeBatch:]
		if err := j.Wake(ctx, false, part...); err != nil {
			return err
		}
	}
	return j.file.Write(ctx, durable, overhead*len(runs), func(conn *sqlite.Conn) error {
		return j.store.wake(conn, runs)
	})
}

// MarkDone implements Journal.
func (j *SQLite) MarkDone(ctx context.Context, id string) error {
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
	err := j.file.Write(ctx, true, 0, j.store.flushAll)
	if _, failed := errors.AsType[*DiskError](err); err != nil && !failed { // after a DiskError the copy has the log
		return err
	}
	return j.file.Backup(ctx, path)
}

// Synchronous tells how much SQLite does so that what is written survives a crash: its
// PRAGMA synchronous, of the connection that writes. 2 is FULL: each commit is synced.
func (j *SQLite) Synchronous(ctx context.Context) (level int, err error) {
	err = j.file.WriteOutsideTransaction(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "PRAGMA synchronous", func(row *sqlite.Stmt) { level = row.ColumnInt(0) })
	})
	return level, err
}

// Close implements Journal.
func (j *SQLite) Close() error {
	j.flushTimer.Stop()
	return j.file.Close()
}

// number returns the number of a run, whether it is in the tables or only in the log.
func (j *SQLite) number(ctx context.Context, run string) (int64, error) {
	if seq, ok := j.cachedNumber(run); ok {
		return seq, nil
	}
	prunes := j.pruneCount()
	seq, err := queries{j.file.Peek}.number(ctx, run)
	if _, missing := errors.AsType[*NotFoundError](err); missing { // in the tables
		err = j.file.WriteSoon(ctx, 0, func(conn *sqlite.Conn) (err error) {
			seq, err = j.store.number(conn, run)
			return err
		})
		if err == nil && seq == 0 {
			err = &NotFoundError{run}
		}
	}
	if err == nil {
		j.cacheNumber(run, seq, prunes)
	}
	return seq, err
}

// pruneCount returns the state to hand to cacheNumber.
func (j *SQLite) pruneCount() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.prunes
}

func (j *SQLite) cachedNumber(run string) (seq int64, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq, ok = j.recent[run]; !ok {
		seq, ok = j.older[run]
	}
	return seq, ok
}

// cacheNumber caches the number of a run that was looked up after pruneCount returned prunes,
// unless runs were pruned since: it may be one of them.
func (j *SQLite) cacheNumber(run string, seq int64, prunes int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if prunes != j.prunes {
		return
	}
	if len(j.recent) >= maxCachedNumbers {
		clear(j.older) // which keeps its memory
		j.recent, j.older = j.older, j.recent
	}
	j.recent[run] = seq
}

func (j *SQLite) uncacheNumbers(runs []prunable) {
	if len(runs) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.prunes++
	for _, run := range runs {
		delete(j.recent, run.id)
		delete(j.older, run.id)
	}
}

// size returns an upper bound of the encoded size of a change, in bytes.
func (c Change) size() int {
	const number, text = 10, 12 // of a varint at most; of a kind or status with its length
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
