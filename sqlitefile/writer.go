package sqlitefile

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Queued is how many writes wait for the writer; then their callers wait, too.
const Queued = 1024

const (
	maxBatch = 4 << 20               // bytes in one transaction, more or less
	maxAhead = 64 << 10              // bytes; more is waited for even if it is not durable
	maxWrite = 256 << 20             // bytes in one write; SQLite's limit is not far
	lazy     = 20 * time.Millisecond // until what nobody waits for is committed
)

// A write is something to be written.
type write struct {
	apply   func(*sqlite.Conn) error // nil: nothing but wait
	outside bool                     // of transactions
	soon    bool                     // it is done before it is durable
	size    int
	done    chan error // nil if nobody waits
}

// A writer owns the connection that writes. Its goroutine alone uses what is not marked
// otherwise.
type writer struct {
	kind    Kind
	path    string
	conn    *sqlite.Conn
	failed  atomic.Pointer[DiskError] // read by all
	stopped chan struct{}             // closed by the goroutine

	mu     sync.RWMutex // against sending on a closed queue
	closed bool
	queue  chan write
	dones  sync.Pool // of chan error, used by all

	last func(*sqlite.Conn) error        // is called before each commit; nil: nothing is
	then func() func(*sqlite.Conn) error // what may begin the next transaction; nil: nothing ever
	end  func(*sqlite.Conn) error        // is written at the end; nil: nothing is

	begin, commit, rollback *sqlite.Stmt
	log                     *checkpointer

	open    bool // a transaction
	written int  // bytes in it
	waiting []chan error
}

// syncPragmas are for connections that write.
var syncPragmas = []string{
	"PRAGMA synchronous = FULL",
	"PRAGMA fullfsync = ON", // where a plain sync does not reach the disk
	"PRAGMA checkpoint_fullfsync = ON",
}

func openWriter(path string, kind Kind) (*writer, error) {
	conn, err := openConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	w := &writer{
		kind:    kind,
		path:    path,
		conn:    conn,
		queue:   make(chan write, Queued),
		stopped: make(chan struct{}),
	}
	w.dones.New = func() any { return make(chan error, 1) }
	if err := w.prepare(); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// prepare sets the connection up and brings the file to the newest schema.
func (w *writer) prepare() error {
	if _, err := w.kind.check(w.conn); err != nil { // before the first change
		return err
	}
	mode := ""
	err := sqlitex.ExecuteTransient(w.conn, "PRAGMA journal_mode = WAL", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error { mode = row.ColumnText(0); return nil },
	})
	if err == nil && mode != "wal" {
		err = errNoWAL
	}
	if err != nil {
		return err
	}
	for _, pragma := range append([]string{
		"PRAGMA cache_size = -16000",           // KiB
		"PRAGMA wal_autocheckpoint = 0",        // see checkpointer
		"PRAGMA journal_size_limit = 67108864", // bytes of the log once it was copied to the database
	}, syncPragmas...) {
		if err := sqlitex.ExecuteTransient(w.conn, pragma, nil); err != nil {
			return err
		}
	}
	if err := w.kind.migrate(w.conn); err != nil {
		return err
	}
	if err := w.kind.recover(w.conn); err != nil {
		return err
	}
	for _, s := range []struct {
		stmt **sqlite.Stmt
		sql  string
	}{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.rollback, "ROLLBACK"},
	} {
		if *s.stmt, err = w.conn.Prepare(s.sql); err != nil {
			return err
		}
	}
	w.log, err = openCheckpointer(w.path, w.conn)
	return err
}

// do hands something to the writer. If it is durable, do returns once it and all that came
// before would survive a crash. Anybody may call it.
func (w *writer) do(ctx context.Context, op write, durable bool) error {
	if op.size > maxWrite {
		return fmt.Errorf("%d bytes at once are more than a %s takes (%d)", op.size, w.kind.Name, maxWrite)
	}
	if !durable && op.size <= maxAhead {
		return w.enqueue(ctx, op)
	}
	op.done = w.dones.Get().(chan error)
	defer w.dones.Put(op.done) // nothing is in it: what is taken is answered once
	if err := w.enqueue(ctx, op); err != nil {
		return err
	}
	return <-op.done
}

func (w *writer) enqueue(ctx context.Context, op write) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	if err := w.failure(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select { // nearly always there is room, and this is quicker than to wait for it
	case w.queue <- op:
		return nil
	default:
	}
	select {
	case w.queue <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop waits until all that was handed over is written. Anybody may call it, once.
func (w *writer) stop() error {
	w.mu.Lock()
	w.closed = true
	w.queue <- write{apply: w.end}
	close(w.queue)
	w.mu.Unlock()
	<-w.stopped
	return w.failure()
}

// loop writes until the queue is closed. A transaction takes in all that comes while it is
// at work; it is committed when somebody waits for it and nothing else is there.
func (w *writer) loop() {
	defer close(w.stopped)
	var late <-chan time.Time
	for {
		select {
		case op, ok := <-w.queue:
			if !ok {
				w.finish()
				return
			}
			w.take(op)
			for n := len(w.queue); n > 0 && w.written < maxBatch; n-- {
				w.take(<-w.queue) // which is quicker than to select it
			}
			if len(w.queue) == 0 && len(w.waiting) > 0 {
				// Who is about to write shares the commit. On an idle machine there is nobody,
				// and it takes no time; on a busy one, where the disk is quick, few would share
				// a commit otherwise.
				runtime.Gosched()
			}
			switch {
			case w.written < maxBatch && len(w.queue) > 0:
			case w.written >= maxBatch || len(w.waiting) > 0:
				w.finish()
				w.goOn()
				late = nil
				if w.open {
					late = time.After(lazy)
				}
			case late == nil:
				late = time.After(lazy)
			}
		case <-late:
			w.finish()
			late = nil
		}
	}
}

// take adds a write to the transaction, or ends it for one that wants none.
func (w *writer) take(op write) {
	if op.outside {
		w.finish()
	}
	if op.apply != nil && w.failed.Load() == nil {
		if err := w.apply(op); err != nil {
			w.fail(err)
		}
	}
	switch {
	case op.done == nil:
	case op.soon:
		op.done <- w.failure()
	default:
		w.waiting = append(w.waiting, op.done)
	}
}

// failure is why nothing can be written any more, nil while it can.
func (w *writer) failure() error {
	if err := w.failed.Load(); err != nil {
		return err
	}
	return nil
}

func (w *writer) apply(op write) error {
	if !w.open && !op.outside {
		if err := Exec(w.begin); err != nil {
			return err
		}
		w.open = true
	}
	w.written += op.size
	return op.apply(w.conn)
}

// finish commits the transaction, if there is one, and answers those who wait.
func (w *writer) finish() {
	if w.open {
		var err error
		if w.last != nil {
			err = w.last(w.conn)
		}
		if err == nil {
			err = Exec(w.commit)
		}
		if err != nil {
			w.fail(err)
		}
		w.open, w.written = false, 0
	}
	err := w.failure()
	for _, done := range w.waiting {
		done <- err
	}
	clear(w.waiting)
	w.waiting = w.waiting[:0]
	if err == nil {
		w.log.committed()
	}
}

// goOn does what can be done while those work who were just answered.
func (w *writer) goOn() {
	if w.then == nil || w.failed.Load() != nil {
		return
	}
	if apply := w.then(); apply != nil {
		w.take(write{apply: apply})
	}
}

// fail gives up writing. What was written since the last commit is gone, and with it what
// later writes rest on.
func (w *writer) fail(err error) {
	w.failed.Store(&DiskError{w.kind.Name, w.path, "write", err})
	if w.open {
		Exec(w.rollback) // in vain where SQLite has rolled back already
		w.open = false
	}
}
