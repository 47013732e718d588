package journal

import (
	"context"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Queued is how many writes may wait for the writer.
const Queued = sqlitefile.MaxQueued

// Schema is the newest version of the file.
func Schema() int { return len(fileKind().Migrations) }

// Queries returns the queries that must use an index instead of scanning a table.
func Queries() []string {
	return []string{
		headBySeq, headByID, selectUnfinished, selectRecords, selectEvents, selectOpen, selectPrunableRuns, selectPrunableEvents,
		listAll, selectRecordChunk, listUnknown, listEnded, listOpen, selectLastBlock, selectRecipientKeys, listRecipientChunks, deleteEndedRanges,
		selectNext, newStore().wakeRun.SQL,
	}
}

// SelectEvents sorts what it finds.
const SelectEvents = selectEvents

// EncodeWaits and DecodeWaits are the stored form of Waits.
func EncodeWaits(w Waits) []byte          { return w.encode() }
func DecodeWaits(b []byte) (Waits, error) { return decodeWaits(b, stringPool{}) }

// EncodeLog returns a row of the log with the creation of a run and a change of it.
func EncodeLog(run Run, c Change) []byte {
	first := logEntry{kind: runCreated, seq: 7, plan: 1, body: c.encode(run.encode(nil))}
	return logEntry{kind: runChanged, seq: 7, body: c.encode(nil)}.encode(first.encode(nil))
}

// DecodeLog decodes a row of the log, as recoverLog does, and encodes it again.
func DecodeLog(row []byte) (again []byte, err error) {
	for in := (decoder{rest: row}); len(in.rest) > 0; {
		e := in.entry()
		if in.invalid {
			return nil, errUnknownForm
		}
		again = e.encode(again)
		d, body := newPendingRun(e.seq, ""), decoder{rest: e.body}
		if e.kind == runCreated {
			d.decodeHead(&body)
		}
		if err := d.decodeChange(&body, func(string) (int64, error) { return 1, nil }); err != nil {
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
	go j.file.WriteOutsideTransaction(context.Background(), func(*sqlite.Conn) error {
		close(started)
		<-ended
		return nil
	})
	<-started
	return func() { close(ended) }
}

// Flush flushes, and retains what has not ended.
func (j *SQLite) Flush() error {
	return j.file.Write(context.Background(), true, 0, func(conn *sqlite.Conn) error { return j.store.flush(conn, 0) })
}

// Exec runs a statement on the writer's connection, outside a transaction, and returns
// the last result as text.
func (j *SQLite) Exec(sql string) (result string, err error) {
	werr := j.file.WriteOutsideTransaction(context.Background(), func(conn *sqlite.Conn) error {
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
