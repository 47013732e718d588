package sqlitefile

import (
	"errors"
	"sync"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// longLog is how many pages of the log are to be in the database soon.
const longLog = 4000

// A checkpointer copies the log into the database, most of it on a connection of its own, beside
// the writer: those who wait for a commit do not wait for that. The writer copies what it wrote
// meanwhile, so that there is a moment when all is copied and the log can begin anew.
type checkpointer struct {
	beside      *sqlite.Conn
	most        *sqlite.Stmt // on beside
	look, rest  *sqlite.Stmt // on the writer's connection
	busy, ended atomic.Bool  // beside
	work        sync.WaitGroup
}

func openCheckpointer(path string, writer *sqlite.Conn) (c *checkpointer, err error) {
	c = &checkpointer{}
	if c.beside, err = openConn(path, sqlite.OpenReadWrite); err != nil {
		return nil, err
	}
	for _, pragma := range syncPragmas {
		err = errors.Join(err, sqlitex.ExecuteTransient(c.beside, pragma, nil))
	}
	prepare := func(conn *sqlite.Conn, mode string) *sqlite.Stmt {
		stmt, failed := conn.Prepare("PRAGMA wal_checkpoint(" + mode + ")")
		err = errors.Join(err, failed)
		return stmt
	}
	c.most = prepare(c.beside, "PASSIVE")
	c.look, c.rest = prepare(writer, "NOOP"), prepare(writer, "PASSIVE")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *checkpointer) close() error {
	c.work.Wait()
	return c.beside.Close()
}

// committed is called by the writer after each commit, when those who waited for it know.
func (c *checkpointer) committed() {
	if c.busy.Load() {
		return
	}
	if c.ended.Swap(false) {
		checkpoint(c.rest)
	}
	if checkpoint(c.look) < longLog {
		return
	}
	c.busy.Store(true)
	c.work.Go(func() {
		checkpoint(c.most)
		c.ended.Store(true)
		c.busy.Store(false)
	})
}

// checkpoint returns how many pages of the log are still to be copied. One that fails is tried
// again after the next commit: nothing is lost while the log is there.
func checkpoint(stmt *sqlite.Stmt) (left int) {
	defer stmt.Reset()
	if row, err := stmt.Step(); err != nil || !row {
		return 0
	}
	const log, copied = 1, 2 // columns
	return stmt.ColumnInt(log) - stmt.ColumnInt(copied)
}
