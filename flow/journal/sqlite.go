package journal

import (
	"context"
	"errors"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	// patience is how long another process's lock on the file is waited for.
	patience = 10 * time.Second

	// maxRows is of how many runs the numbers are remembered.
	maxRows = 1 << 16
)

// SQLite is a journal in a file. One goroutine writes it, and appends that come while it
// is at work share its next transaction, so that many concurrent runs pay for one sync of
// the disk. Appends that are not durable reach the disk within 20 milliseconds, or with
// the next that is durable, in order.
//
// Errors of the file are a *DiskError. The first one from writing is final.
type SQLite struct {
	reader *Reader
	writer *writer
	lock   *sqlite.Conn
	close  func() error

	mu   sync.Mutex
	rows map[string]int64 // the numbers of runs that were appended to lately
}

// OpenSQLite opens the journal in a file, or creates one that only its owner can read. A
// file of an older version is brought up to date. While it is open no other process can
// open it, except with OpenReadOnly. Errors are a *DiskError.
func OpenSQLite(path string) (*SQLite, error) {
	path, err := makeFile(path)
	if err != nil {
		return nil, &DiskError{path, "open", err}
	}
	j := &SQLite{rows: map[string]int64{}}
	j.close = sync.OnceValue(j.shut)
	if err := j.open(path); err != nil {
		return nil, &DiskError{path, "open", errors.Join(err, j.release())}
	}
	go j.writer.loop()
	return j, nil
}

func (j *SQLite) open(path string) (err error) {
	if j.lock, err = lock(path + "-lock"); err != nil {
		return err
	}
	if j.writer, err = openWriter(path); err != nil {
		return err
	}
	j.reader, err = openReader(path)
	return err
}

// Create implements Journal.
func (j *SQLite) Create(ctx context.Context, run Run, first Record) error {
	var seq int64
	hash := planHash(run)
	err := j.writer.do(ctx, true, size(first), func(w *writer) (err error) {
		seq, err = w.create(run, hash, first)
		return err
	})
	if err == nil {
		j.remember(run.ID, seq)
	}
	return err
}

// Append implements Journal.
func (j *SQLite) Append(ctx context.Context, run string, durable bool, records ...Record) error {
	seq, err := j.row(ctx, run)
	if err != nil {
		return err
	}
	return j.writer.do(ctx, durable, size(records...), func(w *writer) error {
		return w.insert(seq, records)
	})
}

// End implements Journal.
func (j *SQLite) End(ctx context.Context, run, status string, at time.Time, records ...Record) error {
	seq, err := j.row(ctx, run)
	if err != nil {
		return err
	}
	err = j.writer.do(ctx, true, size(records...), func(w *writer) error {
		if err := w.insert(seq, records); err != nil {
			return err
		}
		return w.end(seq, status, at)
	})
	if err == nil {
		j.forget(run)
	}
	return err
}

// Load implements Journal. It works also after the disk has failed, and returns what is
// there.
func (j *SQLite) Load(ctx context.Context, run string) (Run, []Record, error) {
	if err := j.flush(ctx); err != nil {
		return Run{}, nil, err
	}
	return j.reader.Load(ctx, run)
}

// List implements Journal. It works also after the disk has failed.
func (j *SQLite) List(ctx context.Context, f Filter) ([]Run, error) {
	if err := j.flush(ctx); err != nil {
		return nil, err
	}
	return j.reader.List(ctx, f)
}

// flush makes what was appended visible to readers.
func (j *SQLite) flush(ctx context.Context) error {
	err := j.writer.do(ctx, true, 0, nil)
	if disk := (*DiskError)(nil); errors.As(err, &disk) {
		return nil
	}
	return err
}

// Close implements Journal.
func (j *SQLite) Close() error { return j.close() }

func (j *SQLite) shut() error {
	return errors.Join(j.writer.stop(), j.release())
}

// release closes what is open. The writer's connection is closed after the others: the
// last one brings the database file up to date and removes the log beside it.
func (j *SQLite) release() (err error) {
	if j.reader != nil {
		err = j.reader.Close()
	}
	if j.writer != nil {
		err = errors.Join(err, j.writer.conn.Close())
	}
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// row returns the number of a run.
func (j *SQLite) row(ctx context.Context, run string) (int64, error) {
	j.mu.Lock()
	seq, ok := j.rows[run]
	j.mu.Unlock()
	if ok {
		return seq, nil
	}
	seq, err := j.reader.seq(ctx, run)
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
