package sqlitefile

import (
	"errors"
	"sync"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// minCheckpointPages is how many pages of the WAL start a checkpoint.
const minCheckpointPages = 4000

// A checkpointer copies the WAL into the database, most of it on a connection of its own while the
// writer goes on: nobody who waits for a commit waits for a checkpoint. The writer then copies what
// it wrote meanwhile, so that at some moment everything is copied and the WAL can start over.
type checkpointer struct {
	conn              *sqlite.Conn
	copy              *sqlite.Stmt // on conn
	pending, finish   *sqlite.Stmt // on the writer's connection
	running, finished atomic.Bool  // on conn
	wg                sync.WaitGroup
}

func openCheckpointer(path string, writer *sqlite.Conn) (c *checkpointer, err error) {
	c = &checkpointer{}
	if c.conn, err = openConn(path, sqlite.OpenReadWrite); err != nil {
		return nil, err
	}
	for _, pragma := range syncPragmas {
		err = errors.Join(err, sqlitex.ExecuteTransient(c.conn, pragma, nil))
	}
	prepare := func(conn *sqlite.Conn, mode string) *sqlite.Stmt {
		stmt, failed := conn.Prepare("PRAGMA wal_checkpoint(" + mode + ")")
		err = errors.Join(err, failed)
		return stmt
	}
	c.copy = prepare(c.conn, "PASSIVE")
	c.pending, c.finish = prepare(writer, "NOOP"), prepare(writer, "PASSIVE")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *checkpointer) close() error {
	c.wg.Wait()
	return c.conn.Close()
}

// afterCommit is called by the writer after each commit, once its callers have been answered.
func (c *checkpointer) afterCommit() {
	if c.running.Load() {
		return
	}
	if c.finished.Swap(false) {
		runCheckpoint(c.finish)
	}
	if runCheckpoint(c.pending) < minCheckpointPages {
		return
	}
	c.running.Store(true)
	c.wg.Go(func() {
		runCheckpoint(c.copy)
		c.finished.Store(true)
		c.running.Store(false)
	})
}

// runCheckpoint returns how many pages of the WAL are still to be copied. If it fails it is tried
// again after the next commit: while the WAL is there nothing is lost.
func runCheckpoint(stmt *sqlite.Stmt) (left int) {
	defer stmt.Reset()
	if row, err := stmt.Step(); err != nil || !row {
		return 0
	}
	const log, copied = 1, 2 // columns
	return stmt.ColumnInt(log) - stmt.ColumnInt(copied)
}
