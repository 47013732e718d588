// Package sqlitefile stores rows in a SQLite file that must not lose any. It opens, locks and
// migrates the file, lets concurrent writes share one sync of the disk, and explains to people
// what is wrong with a file. The schema and its meaning belong to those who use it: flow/journal
// and the ledger of actions/whatsapp.
package sqlitefile

import (
	"context"
	"errors"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	lockTimeout      = 10 * time.Second      // how long to wait for a lock of another process
	shortLockTimeout = 20 * time.Millisecond // how long to wait for a lock that is only held briefly
)

// A Kind describes a kind of file: its schema and how it is opened.
type Kind struct {
	// Name is what people call such a file, e.g. "journal".
	Name string
	// ID is SQLite's application_id of such files. It is not 0.
	ID int32
	// Migrations are the scripts from an empty file to the newest schema; user_version counts those
	// that a file has had. A released one is never changed: its result is on disks.
	Migrations []string
	// Shared says that several processes may write the file at the same time. Otherwise the second
	// gets ErrInUse.
	Shared bool
	// Recover recovers what a process that died left behind, and NeedsRecovery is a query that
	// returns more than 0 if there is something. nil and "": there never is. They are not for shared
	// files, where it cannot be known whether the others have died.
	Recover       func(*sqlite.Conn) error
	NeedsRecovery string
}

// A File is a file that is open for writing. One goroutine writes it, and writes that come while it
// is busy share its next transaction (group commit), so that many concurrent callers pay for one
// sync of the disk. Writes that are not durable are committed within 20 milliseconds, or with the
// next durable one, in order.
//
// Errors of the file are a *DiskError. After the first one from writing, all writes fail. A File is
// safe for concurrent use.
type File struct {
	reader *Reader
	peeker *peeker
	writer *writer
	lock   *sqlite.Conn // nil: shared
	close  func() error
}

// Open opens a file, creating it, readable by its owner alone, if it does not exist. It migrates an
// older file. Unless it is shared, other processes can only open it with OpenReadOnly meanwhile.
// Errors are a *DiskError.
func Open(path string, kind Kind) (*File, error) {
	path, err := makeFile(path)
	if err != nil {
		return nil, &DiskError{kind.Name, path, "open", err}
	}
	f := &File{}
	f.close = sync.OnceValue(f.shutdown)
	if err := f.open(path, kind); err != nil {
		return nil, &DiskError{kind.Name, path, "open", errors.Join(err, f.release())}
	}
	go f.writer.loop()
	return f, nil
}

func (f *File) open(path string, kind Kind) (err error) {
	wait := shortLockTimeout // a reader may hold it: see recoverAbandoned
	if kind.Shared {
		wait = lockTimeout // others that open the file hold it
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

// Write runs apply on the writer's goroutine, in a transaction that it may share with other writes,
// in the order of the calls. If it is durable, Write returns once it and all writes before would
// survive a crash; otherwise it may return at once. size is roughly how many bytes it adds.
//
// An error of apply is a failure of the file. apply leaves its results in variables of its caller,
// who may read them after a durable write.
//
// ctx bounds only the wait for a place in the queue, so that an error of ctx means that nothing is
// written.
func (f *File) Write(ctx context.Context, durable bool, size int, apply func(*sqlite.Conn) error) error {
	return f.writer.submit(ctx, write{apply: apply, size: size}, durable)
}

// WriteSoon is a Write that returns when apply has run; it is durable soon after.
func (f *File) WriteSoon(ctx context.Context, size int, apply func(*sqlite.Conn) error) error {
	return f.writer.submit(ctx, write{apply: apply, size: size, replyEarly: true}, true)
}

// WriteOutsideTransaction is a durable Write of what cannot run in a transaction.
func (f *File) WriteOutsideTransaction(ctx context.Context, apply func(*sqlite.Conn) error) error {
	return f.writer.submit(ctx, write{apply: apply, noTransaction: true}, true)
}

// OnCommit has commit called at the end of each transaction, and end in the last one, at Close. It
// must be called before the first Write.
func (f *File) OnCommit(commit, end func(*sqlite.Conn) error) {
	f.writer.onCommit, f.writer.onClose = commit, end
}

// AfterCommit has next called after each commit, once its callers have been answered. What it
// returns, if not nil, begins the next transaction: so large work does not delay those callers.
// AfterCommit must be called before the first Write.
func (f *File) AfterCommit(next func() func(*sqlite.Conn) error) { f.writer.afterCommit = next }

// Read calls read in one transaction that sees all writes before. It also works when writing has
// failed, on what the file has. An error of read is returned as a *DiskError; read leaves its
// results in variables of its caller.
func (f *File) Read(ctx context.Context, read func(*sqlite.Conn) error) error {
	return f.ReadAfter(ctx, nil, read)
}

// ReadAfter is Read after a durable Write of first, which may be nil.
func (f *File) ReadAfter(ctx context.Context, first, read func(*sqlite.Conn) error) error {
	err := f.writer.submit(ctx, write{apply: first}, true)
	if _, failed := errors.AsType[*DiskError](err); failed {
		return f.readFailed(ctx, read)
	}
	if err != nil {
		return err
	}
	return f.reader.Read(ctx, read)
}

// readFailed reads a file whose writing has failed. What needs recovery is recovered for this read
// alone.
func (f *File) readFailed(ctx context.Context, read func(*sqlite.Conn) error) error {
	if f.writer.kind.Recover == nil {
		return f.reader.Read(ctx, read)
	}
	err := withWritable(f.reader.path, func(conn *sqlite.Conn) error {
		if err := f.writer.kind.Recover(conn); err != nil {
			return err
		}
		return read(conn)
	}, "PRAGMA cache_spill = OFF", "BEGIN IMMEDIATE")
	if err != nil {
		return &DiskError{f.reader.name, f.reader.path, "read", err}
	}
	return nil
}

// Healthy returns why nothing more can be written, nil while it can.
func (f *File) Healthy() error { return f.writer.failure() }

// Close writes what is queued, and returns an error if some of it is lost.
func (f *File) Close() error { return f.close() }

func (f *File) shutdown() error {
	return errors.Join(f.writer.stop(), f.release())
}

// release closes what is open, the writer's connection after the others: the last one to close
// checkpoints and removes the WAL.
func (f *File) release() (err error) {
	if f.reader != nil {
		err = f.reader.Close()
	}
	if f.peeker != nil {
		err = errors.Join(err, f.peeker.close())
	}
	if f.writer != nil {
		err = errors.Join(err, f.writer.checkpointer.close(), f.writer.conn.Close())
	}
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return err
}
