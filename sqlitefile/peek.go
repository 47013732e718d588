package sqlitefile

import (
	"context"
	"errors"
	"sync"

	"zombiezen.com/go/sqlite"
)

// peekers is how many goroutines answer Peek.
const peekers = 2

// A peeker looks things up for those who want one row, now, as often as something is sent.
// It does without what a Read has for long ones: a transaction, an end that can be called
// for, and the deep stack that SQLite grows on each new goroutine.
type peeker struct {
	name  string // of the kind
	path  string
	begin sync.Once
	looks chan look
	end   chan struct{}
	all   sync.WaitGroup
	errs  [peekers]error // of closing
	dones sync.Pool      // of chan error
}

// A look is something to be looked up.
type look struct {
	see  func(*sqlite.Conn) error
	done chan error
}

func newPeeker(path string, kind Kind) *peeker {
	p := &peeker{name: kind.Name, path: path, looks: make(chan look), end: make(chan struct{})}
	p.dones.New = func() any { return make(chan error, 1) }
	return p
}

func (p *peeker) peek(ctx context.Context, see func(*sqlite.Conn) error) error {
	p.begin.Do(func() {
		for i := range peekers {
			p.all.Go(func() { p.errs[i] = p.work() })
		}
	})
	l := look{see, p.dones.Get().(chan error)}
	defer p.dones.Put(l.done) // nothing is in it: what is taken is answered once
	select {
	case p.looks <- l:
		return <-l.done
	case <-ctx.Done():
		return ctx.Err()
	case <-p.end:
		return ErrClosed
	}
}

// work answers until the end, with a connection of its own.
func (p *peeker) work() error {
	var conn *sqlite.Conn
	for {
		select {
		case l := <-p.looks:
			var err error
			if conn == nil {
				conn, err = openConn(p.path, sqlite.OpenReadOnly)
			}
			if err == nil {
				err = l.see(conn)
			}
			if err != nil {
				err = &DiskError{p.name, p.path, "read", err}
			}
			l.done <- err
		case <-p.end:
			if conn == nil {
				return nil
			}
			return conn.Close()
		}
	}
}

func (p *peeker) close() error {
	p.begin.Do(func() {}) // who has not begun never will
	close(p.end)
	p.all.Wait()
	return errors.Join(p.errs[:]...)
}

// Peek calls see on what is in the file now, without waiting for what is being written, for
// a look at little: nothing interrupts it, and each statement sees a state of its own. What
// see returns is an error of the file.
func (f *File) Peek(ctx context.Context, see func(*sqlite.Conn) error) error {
	return f.peeker.peek(ctx, see)
}
