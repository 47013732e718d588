package journal

import (
	"context"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Queued is how many writes wait for the writer.
const Queued = queued

// Schema is the newest version of the file.
func Schema() int { return len(migrations()) }

// Hold keeps the writer busy until release is called.
func (j *SQLite) Hold() (release func()) {
	started, ended := make(chan struct{}), make(chan struct{})
	go j.writer.do(context.Background(), true, 0, func(*writer) error {
		close(started)
		<-ended
		return nil
	})
	<-started
	return func() { close(ended) }
}

// Exec runs a statement on the writer's connection, outside a transaction, and returns
// the last result as text.
func (j *SQLite) Exec(sql string) (result string, err error) {
	outside := func(w *writer) error {
		if err := exec(w.commit); err != nil {
			return err
		}
		err = sqlitex.ExecuteTransient(w.conn, sql, &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { result = row.ColumnText(0); return nil },
		})
		w.open = false
		return nil
	}
	if werr := j.writer.do(context.Background(), true, 0, outside); werr != nil {
		return "", werr
	}
	return result, err
}
