package journal

import (
	"context"
	"encoding/json"
	"sync"

	"zombiezen.com/go/sqlite"

	"facteur/sqlitefile"
)

const (
	maxRows  = 1 << 14 // runs of which the numbers are remembered
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

	mu   sync.Mutex
	rows map[string]int64 // the numbers of runs that were written lately

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
	j := &SQLite{reads: reads{file.Read}, file: file, store: newStore(), rows: map[string]int64{}}
	if err := file.Peek(context.Background(), j.store.load); err != nil {
		file.Close()
		return nil, err
	}
	return j, nil
}

// Create implements Journal.
func (j *SQLite) Create(ctx context.Context, run Run, c Change) error {
	var seq int64
	err := j.file.Write(ctx, true, c.size(), func(conn *sqlite.Conn) (err error) {
		seq, err = j.store.create(conn, run, c)
		return err
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
	pruned := false
	err = j.file.Write(ctx, durable, c.size(), func(conn *sqlite.Conn) error {
		found, err := j.store.write(conn, seq, c)
		if durable {
			pruned = !found
		}
		return err
	})
	if err == nil && pruned {
		err = &NotFoundError{run}
	}
	if err == nil && !c.Ended.IsZero() {
		j.forget(run)
	}
	return err
}

// Load implements Journal.
func (j *SQLite) Load(ctx context.Context, run string) (Run, []Record, error) {
	head, records, err := j.reads.Load(ctx, run)
	if err == nil && head.Ended.IsZero() {
		j.remember(run, head.Seq) // who loads it goes on with it
	}
	return head, records, err
}

// Deliver implements Journal.
func (j *SQLite) Deliver(ctx context.Context, e Event, wake []string) (fresh bool, err error) {
	err = j.file.Write(ctx, true, overhead+len(e.Body), func(conn *sqlite.Conn) (err error) {
		if fresh, err = j.store.deliver(conn, e); err != nil {
			return err
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
func (j *SQLite) Backup(ctx context.Context, path string) error { return j.file.Backup(ctx, path) }

// Synchronous tells how much SQLite does so that what is written survives a crash: its
// PRAGMA synchronous, of the connection that writes. 2 is FULL: each commit is synced.
func (j *SQLite) Synchronous(ctx context.Context) (level int, err error) {
	err = j.file.Outside(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "PRAGMA synchronous", func(row *sqlite.Stmt) { level = row.ColumnInt(0) })
	})
	return level, err
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
	seq, err := reads{j.file.Peek}.number(ctx, run)
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

// size estimates how many bytes a change adds to a transaction.
func (c Change) size() int {
	n := overhead
	for _, r := range c.Records {
		n += overhead + len(r.Body)
	}
	n += overhead * (len(c.Unknown) + len(c.Settled) + len(c.Took) + len(c.Recipients))
	if c.Waits != nil {
		n += overhead*(len(c.Waits.Subscriptions)+len(c.Waits.Keys)) + len(c.Waits.Note)
	}
	return n
}
