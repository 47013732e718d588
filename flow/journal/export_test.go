package journal

import (
	"context"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Queued is how many writes wait for the writer.
const Queued = sqlitefile.Queued

// Schema is the newest version of the file.
func Schema() int { return len(kind().Migrations) }

// Queries are those that must find what they look for without looking at all there is.
func Queries() []string {
	return []string{
		headBySeq, headByID, selectUnfinished, selectRecords, selectEvents, selectOpen, selectOldRuns, selectOldEvents,
		listAll, selectSheaf, listUnknown, listEnded, listOpen, listBlock, listRecipient, listMailings, deleteEndings,
		selectNext, newStore().wakeRun.SQL,
	}
}

// SelectEvents sorts what it finds.
const SelectEvents = selectEvents

// EncodeWaits and DecodeWaits are the stored form of Waits.
func EncodeWaits(w Waits) []byte          { return w.encode() }
func DecodeWaits(b []byte) (Waits, error) { return decodeWaits(b, interned{}) }

// EncodeLog is a row of the log with the creation of a run and a change of it.
func EncodeLog(run Run, c Change) []byte {
	first := entry{kind: creation, seq: 7, plan: 1, body: c.encode(run.encode(nil))}
	return entry{kind: change, seq: 7, body: c.encode(nil)}.encode(first.encode(nil))
}

// DecodeLog reads a row of the log, as who opens a file does after a crash, and writes it again.
func DecodeLog(row []byte) (again []byte, err error) {
	for in := (decoder{rest: row}); len(in.rest) > 0; {
		e := in.entry()
		if in.bad {
			return nil, errForm
		}
		again = e.encode(again)
		d, body := newDraft(e.seq, ""), decoder{rest: e.body}
		if e.kind == creation {
			d.head(&body)
		}
		if err := d.change(&body, func(string) (int64, error) { return 1, nil }); err != nil {
			return nil, err
		}
		for _, records := range d.records {
			if _, err := decodeRecords(records); err != nil {
				return nil, err
			}
		}
	}
	return again, nil
}

// Hold keeps the writer busy until release is called.
func (j *SQLite) Hold() (release func()) {
	started, ended := make(chan struct{}), make(chan struct{})
	go j.file.Outside(context.Background(), func(*sqlite.Conn) error {
		close(started)
		<-ended
		return nil
	})
	<-started
	return func() { close(ended) }
}

// Fold brings to the tables what has ended.
func (j *SQLite) Fold() error {
	return j.file.Write(context.Background(), true, 0, func(conn *sqlite.Conn) error { return j.store.fold(conn, 0) })
}

// Exec runs a statement on the writer's connection, outside a transaction, and returns
// the last result as text.
func (j *SQLite) Exec(sql string) (result string, err error) {
	werr := j.file.Outside(context.Background(), func(conn *sqlite.Conn) error {
		err = sqlitex.ExecuteTransient(conn, sql, &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { result = row.ColumnText(0); return nil },
		})
		return nil
	})
	if werr != nil {
		return "", werr
	}
	return result, err
}
