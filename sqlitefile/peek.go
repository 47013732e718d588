package sqlitefile

import (
	"context"
	"errors"
	"sync"

	"zombiezen.com/go/sqlite"
)

// maxPeeks is how many goroutines serve Peek.
const maxPeeks = 2

// A peeker serves look-ups of a row or so, of which each send makes several. It does without what
// Read has for long ones: a transaction, interruption, and a new goroutine's stack, which SQLite
// makes grow each time.
type peeker struct {
	name     string // Kind.Name
	path     string
	start    sync.Once
	requests chan peekRequest
	stop     chan struct{}
	wg       sync.WaitGroup
	errs     [maxPeeks]error // of closing the connections
	replies  sync.Pool       // chan error
}

// A peekRequest asks a goroutine of the peeker to call read.
type peekRequest struct {
	read  func(*sqlite.Conn) error
	reply chan error
}

func newPeeker(path string, kind Kind) *peeker {
	p := &peeker{name: kind.Name, path: path, requests: make(chan peekRequest), stop: make(chan struct{})}
	p.replies.New = func() any { return make(chan error, 1) }
	return p
}

func (p *peeker) peek(ctx context.Context, read func(*sqlite.Conn) error) error {
	p.start.Do(func() {
		for i := range maxPeeks {
			p.wg.Go(func() { p.errs[i] = p.loop() })
		}
	})
	l := peekRequest{read, p.replies.Get().(chan error)}
	defer p.replies.Put(l.reply) // it is empty: a request that was sent is answered exactly once
	select {
	case p.requests <- l:
		return <-l.reply
	case <-ctx.Done():
		return ctx.Err()
	case <-p.stop:
		return ErrClosed
	}
}

// loop serves requests until stop is closed, on a connection of its own.
func (p *peeker) loop() error {
	var conn *sqlite.Conn
	for {
		select {
		case l := <-p.requests:
			var err error
			if conn == nil {
				conn, err = openConn(p.path, sqlite.OpenReadOnly)
			}
			if err == nil {
				err = l.read(conn)
			}
			if err != nil {
				err = &DiskError{p.name, p.path, "read", err}
			}
			l.reply <- err
		case <-p.stop:
			if conn == nil {
				return nil
			}
			return conn.Close()
		}
	}
}

func (p *peeker) close() error {
	p.start.Do(func() {}) // if it has not started it never will
	close(p.stop)
	p.wg.Wait()
	return errors.Join(p.errs[:]...)
}

// Peek calls read on the current state of the file, without waiting for writes. It is for short
// look-ups: it cannot be interrupted, and each statement sees a state of its own. An error of read
// is returned as a *DiskError.
func (f *File) Peek(ctx context.Context, read func(*sqlite.Conn) error) error {
	return f.peeker.peek(ctx, read)
}
