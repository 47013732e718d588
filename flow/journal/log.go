package journal

import (
	"encoding/binary"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// Changes of runs are written like those of a log-structured store. Create and Write hand an
// encoded change to the writer, which makes it a log entry and merges it into the pendingRun
// in memory. The entries of a transaction become one row of the table log, which is all that
// a commit writes: from then on they are durable.
//
// A flush writes the pending runs to the other tables and empties the log, in one
// transaction: when they are large, when they are old, before they are read, and on closing.
// So a run that starts and ends between two flushes is written to the tables once, together
// with many others, instead of several times and alone.
//
// If the process dies, the entries are in the log: opening the file makes pending runs of
// them again, and flushes those. Events and notes go to their tables at once.

// Kinds of log entries. They are stored: what a number means never changes.
const (
	runCreated = 1 // the run's number and its plan's, its head and its first change
	runChanged = 2 // the run's number, the change
)

// A logEntry is a change of a run as the log stores it.
type logEntry struct {
	kind int64
	seq  int64 // of the run
	plan int64 // only if the run is created
	body []byte
}

// size returns about how many bytes of memory it takes.
func (e logEntry) size() int { return 4*overhead + len(e.body) }

// encode appends the entry to a row of the log.
func (e logEntry) encode(b []byte) []byte {
	b = binary.AppendVarint(b, e.kind)
	b = binary.AppendVarint(b, e.seq)
	if e.kind == runCreated {
		b = binary.AppendVarint(b, e.plan)
	}
	return appendText(b, e.body)
}

// entry reads what entry.encode wrote.
func (d *decoder) entry() (e logEntry) {
	e.kind, e.seq = d.varint(), d.varint()
	if e.kind == runCreated {
		e.plan = d.varint()
	}
	e.body = d.bytes()
	d.invalid = d.invalid || e.kind != runCreated && e.kind != runChanged
	return e
}

// append adds an entry to the log, and to the pending changes of its run.
func (s *store) append(conn *sqlite.Conn, run string, e logEntry) error {
	s.unlogged = append(s.unlogged, e)
	return s.applyEntry(conn, run, e)
}

// applyEntry merges an entry into the pending changes of its run; run is its id, "" if that
// is not known.
func (s *store) applyEntry(conn *sqlite.Conn, run string, e logEntry) error {
	p := s.pending[e.seq]
	if p == nil {
		p = newPendingRun(e.seq, run)
		p.firstRow = s.lastRow + 1
		s.pending[e.seq] = p
		s.pendingOrder = append(s.pendingOrder, p)
	}
	in := decoder{rest: e.body}
	if e.kind == runCreated {
		p.decodeHead(&in)
		p.plan = e.plan
		s.lastRun = max(s.lastRun, e.seq)
	}
	s.pendingByID[p.id] = p
	p.entries = append(p.entries, e)
	s.pendingBytes += e.size()
	err := p.decodeChange(&in, func(name string) (int64, error) { return s.status(conn, name) })
	if err == nil && p.status == 0 && p.created {
		p.status, err = s.status(conn, "")
	}
	return err
}

// commit writes the transaction's entries to the log, or flushes them if they are too many.
func (s *store) commit(conn *sqlite.Conn) error {
	if s.pendingBytes > 2*maxPending {
		if err := s.flush(conn, 0); err != nil {
			return err
		}
	}
	if len(s.unlogged) == 0 {
		return nil
	}
	return s.writeLogRow(conn, s.lastRow+1)
}

// writeLogRow inserts the unlogged entries as a row.
func (s *store) writeLogRow(conn *sqlite.Conn, seq int64) error {
	s.buf = s.buf[:0]
	for _, e := range s.unlogged {
		s.buf = e.encode(s.buf)
	}
	clear(s.unlogged)
	s.unlogged, s.lastRow, s.logHasRows = s.unlogged[:0], max(s.lastRow, seq), true
	s.scheduleFlush()
	return s.logRows.row(conn, seq, s.buf)
}

// recoverLog flushes what a process that died left in the log.
func recoverLog(conn *sqlite.Conn) error {
	s := newStore()
	if err := s.load(conn); err != nil {
		return err
	}
	var rows [][]byte
	err := sqlitefile.Query(conn, "SELECT changes FROM log ORDER BY seq", func(row *sqlite.Stmt) { rows = append(rows, sqlitefile.Blob(row, 0)) })
	if err != nil {
		return err
	}
	for _, row := range rows {
		for in := (decoder{rest: row}); len(in.rest) > 0; {
			e := in.entry()
			if in.invalid {
				return errUnknownForm
			}
			if err := s.applyEntry(conn, "", e); err != nil {
				return err
			}
		}
	}
	s.logHasRows = true
	return s.flush(conn, retainNone)
}
