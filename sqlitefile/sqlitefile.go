// Package sqlitefile keeps rows in one SQLite file, for those who store what must not be
// lost. It opens the file and locks it, brings it to its newest schema, lets concurrent
// writes share one sync of the disk, and says in words for people what is wrong with a
// file. What the rows mean is the business of those who use it: flow/journal and the
// ledger of actions/whatsapp.
package sqlitefile

import (
	"context"
	"errors"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	patience = 10 * time.Second      // how long another process's lock on the file is waited for
	moment   = 20 * time.Millisecond // how long a lock that is held for a moment is waited for
)

// A Kind is what a file is for.
type Kind struct {
	// Name is what people call it, e.g. "journal".
	Name string
	// ID marks the file, as SQLite's application_id. It is not 0.
	ID int32
	// Migrations lead from an empty file to the newest schema; the user_version of a file
	// counts those that it has seen. One that was released is never changed: what it made
	// is on disks.
	Migrations []string
	// Shared tells that several processes may write the file at the same time. Otherwise
	// the second one is refused with ErrInUse.
	Shared bool
	// Recover brings into the tables what a process that died left beside them; nil: none
	// leaves anything. Behind is a query that tells whether something is there. They are
	// not for a shared file, where nobody knows who died.
	Recover func(*sqlite.Conn) error
	Behind  string
}

// A File is a database that is written. One goroutine writes it, and writes that come while
// it is at work share its next transaction, so that many concurrent callers pay for one
// sync of the disk. Writes that are not durable reach the disk within 20 milliseconds, or
// with the next that is durable, in order.
//
// Errors of the file are a *DiskError. The first one from writing is final. A File is safe
// for concurrent use.
type File struct {
	reader *Reader
	peeker *peeker
	writer *writer
	lock   *sqlite.Conn // nil: shared
	close  func() error
}

// Open opens a file, or creates one that only its owner can read. A file of an older
// version is brought up to date. While it is open no other process can open it, except
// with OpenReadOnly, or if it is shared. Errors are a *DiskError.
func Open(path string, kind Kind) (*File, error) {
	path, err := makeFile(path)
	if err != nil {
		return nil, &DiskError{kind.Name, path, "open", err}
	}
	f := &File{}
	f.close = sync.OnceValue(f.shut)
	if err := f.open(path, kind); err != nil {
		return nil, &DiskError{kind.Name, path, "open", errors.Join(err, f.release())}
	}
	go f.writer.loop()
	return f, nil
}

func (f *File) open(path string, kind Kind) (err error) {
	wait := moment // for another that reads it, see recoverDead
	if kind.Shared {
		wait = patience // for another that opens it, too
	}
	if f.lock, err = lock(path+lockSuffix, wait); err != nil {
		return err
	}
	if f.writer, err = openWriter(path, kind); err != nil {
		return err
	}
	if f.reader, err = kind.openReader(path); err != nil {
		return err
	}
	f.peeker = newPeeker(path, kind)
	if kind.Shared {
		err = f.lock.Close()
		f.lock = nil
	}
	return err
}

// Write hands something to the writer. If it is durable, Write returns once it and all
// that came before would survive a crash; otherwise it may return at once.
//
// What apply returns is an error of the file; what else it finds out it leaves in variables
// of its caller, who may read them after a durable write. All run on one goroutine, one
// after another, in transactions that several share. size is about how many bytes it adds.
//
// ctx bounds the wait for a place in the queue; what has its place is written whatever
// becomes of ctx, so that an error from ctx always means that nothing was stored.
func (f *File) Write(ctx context.Context, durable bool, size int, apply func(*sqlite.Conn) error) error {
	return f.writer.do(ctx, write{apply: apply, size: size}, durable)
}

// WriteSoon is a Write that returns once apply has run, and is durable soon.
func (f *File) WriteSoon(ctx context.Context, size int, apply func(*sqlite.Conn) error) error {
	return f.writer.do(ctx, write{apply: apply, size: size, soon: true}, true)
}

// Outside is a durable Write for what cannot run in a transaction.
func (f *File) Outside(ctx context.Context, apply func(*sqlite.Conn) error) error {
	return f.writer.do(ctx, write{apply: apply, outside: true}, true)
}

// Before has commit called at the end of each transaction, and end at the end of the last
// one. It is to be called before the first Write.
func (f *File) Before(commit, end func(*sqlite.Conn) error) {
	f.writer.last, f.writer.end = commit, end
}

// After asks after each commit that somebody waited for, when they know, what the next
// transaction is to begin with; nil: nothing. So large work goes on beside those who would
// wait for it otherwise. It is to be called before the first Write.
func (f *File) After(next func() func(*sqlite.Conn) error) { f.writer.then = next }

// Read calls see on one state of the file, which has in it all that was written before.
// It works also after the disk has failed, on what is there. What see returns is an error
// of the file; what else it finds out it leaves in variables of its caller.
func (f *File) Read(ctx context.Context, see func(*sqlite.Conn) error) error {
	return f.ReadAfter(ctx, nil, see)
}

// ReadAfter is Read of what is in the file after a durable Write of first, nil for none.
func (f *File) ReadAfter(ctx context.Context, first, see func(*sqlite.Conn) error) error {
	err := f.writer.do(ctx, write{apply: first}, true)
	if _, failed := errors.AsType[*DiskError](err); failed {
		return f.readFailed(ctx, see)
	}
	if err != nil {
		return err
	}
	return f.reader.Read(ctx, see)
}

// readFailed reads a file that cannot be written any more. What is beside its tables is
// brought into them for this reading alone.
func (f *File) readFailed(ctx context.Context, see func(*sqlite.Conn) error) error {
	if f.writer.kind.Recover == nil {
		return f.reader.Read(ctx, see)
	}
	err := onceWritable(f.reader.path, func(conn *sqlite.Conn) error {
		if err := f.writer.kind.Recover(conn); err != nil {
			return err
		}
		return see(conn)
	}, "PRAGMA cache_spill = OFF", "BEGIN IMMEDIATE")
	if err != nil {
		return &DiskError{f.reader.name, f.reader.path, "read", err}
	}
	return nil
}

// Healthy returns why nothing more can be written, nil while it can.
func (f *File) Healthy() error { return f.writer.failure() }

// Close waits for what was written, and returns an error if some of it is lost.
func (f *File) Close() error { return f.close() }

func (f *File) shut() error {
	return errors.Join(f.writer.stop(), f.release())
}

// release closes what is open. The writer's connection is closed after the others: the
// last one brings the database file up to date and removes the log beside it.
func (f *File) release() (err error) {
	if f.reader != nil {
		err = f.reader.Close()
	}
	if f.peeker != nil {
		err = errors.Join(err, f.peeker.close())
	}
	if f.writer != nil {
		err = errors.Join(err, f.writer.log.close(), f.writer.conn.Close())
	}
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return err
}
