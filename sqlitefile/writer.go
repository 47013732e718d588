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

// MaxQueued is how many writes can be queued before their callers block.
const MaxQueued = 1024

const (
	maxBatch     = 4 << 20               // bytes in one transaction, roughly
	maxAsyncSize = 64 << 10              // bytes; a larger write is waited for even if it is not durable
	maxWrite     = 256 << 20             // bytes in one write, below SQLite's limit
	commitDelay  = 20 * time.Millisecond // until writes that nobody waits for are committed
)

// A write is an entry of the writer's queue.
type write struct {
	apply         func(*sqlite.Conn) error // nil: only wait for the writes before
	noTransaction bool                     // run apply outside of transactions
	replyEarly    bool                     // answer when apply has run, before the commit
	size          int
	done          chan error // nil: nobody waits
}

// A writer owns the connection that writes. Only its goroutine uses what is not marked otherwise.
type writer struct {
	kind    Kind
	path    string
	conn    *sqlite.Conn
	failed  atomic.Pointer[DiskError] // read by all
	stopped chan struct{}             // closed by the goroutine when it ends

	mu      sync.RWMutex // guards closed, and queue against a send after its close
	closed  bool
	queue   chan write
	replies sync.Pool // chan error, used by all

	onCommit    func(*sqlite.Conn) error        // called before each commit; nil: not called
	afterCommit func() func(*sqlite.Conn) error // returns what begins the next transaction; see File.AfterCommit
	onClose     func(*sqlite.Conn) error        // the last write; nil: none

	begin, commit, rollback Statement
	checkpointer            *checkpointer

	inTransaction bool
	batchSize     int // of the transaction, in bytes
	waiting       []chan error
}

// syncPragmas are for all connections that write.
var syncPragmas = []string{
	"PRAGMA synchronous = FULL",
	"PRAGMA fullfsync = ON", // for macOS, where fsync alone does not reach the disk
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
		queue:   make(chan write, MaxQueued),
		stopped: make(chan struct{}),

		begin: Statement{SQL: "BEGIN IMMEDIATE"}, commit: Statement{SQL: "COMMIT"}, rollback: Statement{SQL: "ROLLBACK"},
	}
	w.replies.New = func() any { return make(chan error, 1) }
	if err := w.prepare(); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// prepare sets up the connection and migrates and recovers the file.
func (w *writer) prepare() error {
	if _, err := w.kind.check(w.conn); err != nil { // before anything is changed
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
		"PRAGMA journal_size_limit = 67108864", // bytes that the WAL file keeps when it starts over
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
	w.checkpointer, err = openCheckpointer(w.path, w.conn)
	return err
}

// submit queues a write. If it is durable, submit waits until it is. It may be called from any
// goroutine.
func (w *writer) submit(ctx context.Context, op write, durable bool) error {
	if op.size > maxWrite {
		return fmt.Errorf("%d bytes at once are more than a %s takes (%d)", op.size, w.kind.Name, maxWrite)
	}
	if !durable && op.size <= maxAsyncSize {
		return w.enqueue(ctx, op)
	}
	op.done = w.replies.Get().(chan error)
	defer w.replies.Put(op.done) // it is empty: a write that was queued is answered exactly once
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
	select { // usually there is room, and this is faster than the select below
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

// stop closes the queue and waits until it is written. It may be called from any goroutine, once.
func (w *writer) stop() error {
	w.mu.Lock()
	w.closed = true
	w.queue <- write{apply: w.onClose}
	close(w.queue)
	w.mu.Unlock()
	<-w.stopped
	return w.failure()
}

// loop runs writes until the queue is closed. A transaction takes in all writes that are queued; it
// is committed when a caller waits for it and the queue is empty.
func (w *writer) loop() {
	defer close(w.stopped)
	var timer <-chan time.Time
	for {
		select {
		case op, ok := <-w.queue:
			if !ok {
				w.commitBatch()
				return
			}
			w.add(op)
			for n := len(w.queue); n > 0 && w.batchSize < maxBatch; n-- {
				w.add(<-w.queue) // faster than the select
			}
			if len(w.queue) == 0 && len(w.waiting) > 0 {
				// Goroutines that are about to write share the commit. On an idle machine there are
				// none, and Gosched returns at once; on a busy one with a fast disk, few writes would
				// share a commit without it.
				runtime.Gosched()
			}
			switch {
			case w.batchSize < maxBatch && len(w.queue) > 0:
			case w.batchSize >= maxBatch || len(w.waiting) > 0:
				w.commitBatch()
				w.runAfterCommit()
				timer = nil
				if w.inTransaction {
					timer = time.After(commitDelay)
				}
			case timer == nil:
				timer = time.After(commitDelay)
			}
		case <-timer:
			w.commitBatch()
			timer = nil
		}
	}
}

// add runs a write in the current transaction, or outside of it.
func (w *writer) add(op write) {
	if op.noTransaction {
		w.commitBatch()
	}
	if op.apply != nil && w.failed.Load() == nil {
		if err := w.apply(op); err != nil {
			w.fail(err)
		}
	}
	switch {
	case op.done == nil:
	case op.replyEarly:
		op.done <- w.failure()
	default:
		w.waiting = append(w.waiting, op.done)
	}
}

// failure returns why nothing can be written any more, nil while it can.
func (w *writer) failure() error {
	if err := w.failed.Load(); err != nil {
		return err
	}
	return nil
}

func (w *writer) apply(op write) error {
	if !w.inTransaction && !op.noTransaction {
		if err := w.begin.Exec(w.conn, nil); err != nil {
			return err
		}
		w.inTransaction = true
	}
	w.batchSize += op.size
	return op.apply(w.conn)
}

// commitBatch commits the transaction, if there is one, and answers the callers that wait.
func (w *writer) commitBatch() {
	if w.inTransaction {
		var err error
		if w.onCommit != nil {
			err = w.onCommit(w.conn)
		}
		if err == nil {
			err = w.commit.Exec(w.conn, nil)
		}
		if err != nil {
			w.fail(err)
		}
		w.inTransaction, w.batchSize = false, 0
	}
	err := w.failure()
	for _, done := range w.waiting {
		done <- err
	}
	clear(w.waiting)
	w.waiting = w.waiting[:0]
	if err == nil {
		w.checkpointer.afterCommit()
	}
}

// runAfterCommit runs what afterCommit returns while the callers that were answered go on.
func (w *writer) runAfterCommit() {
	if w.afterCommit == nil || w.failed.Load() != nil {
		return
	}
	if apply := w.afterCommit(); apply != nil {
		w.add(write{apply: apply})
	}
}

// fail makes all later writes fail: what was written since the last commit is lost, and they may
// depend on it.
func (w *writer) fail(err error) {
	w.failed.Store(&DiskError{w.kind.Name, w.path, "write", err})
	if w.inTransaction {
		_ = w.rollback.Exec(w.conn, nil) // fails if SQLite has rolled back already
		w.inTransaction = false
	}
}
