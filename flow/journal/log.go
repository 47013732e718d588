package journal

import (
	"encoding/binary"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// How a change travels. Create and Write hand it over in its stored form; the writer makes
// it an entry, and adds it to the draft of its run. All entries of a transaction become one
// row of the table log, which is all that a commit writes: from then on they are durable.
//
// A fold brings the drafts into the other tables and empties the log, in one transaction:
// when they are large, when they are old, before somebody reads what they are about, and at
// the end. So a run that begins and ends between two folds is written to the tables once,
// beside many others, and not twice and alone.
//
// If the process dies, the entries are in the log: who opens the file next makes drafts of
// them again, and folds those. What else is written, such as events and notes, goes to its
// tables at once.

// What an entry is: what a number stands for never changes.
const (
	creation = 1 // of a run: its number, that of its plan, its head and its first change
	change   = 2 // of a run: its number, the change
)

// An entry is a change on its way to the log.
type entry struct {
	kind int64
	seq  int64
	plan int64
	body []byte
}

// size is about how many bytes of memory it takes.
func (e entry) size() int { return 4*overhead + len(e.body) }

// encode adds the entry to a row of the log.
func (e entry) encode(b []byte) []byte {
	b = binary.AppendVarint(b, e.kind)
	b = binary.AppendVarint(b, e.seq)
	if e.kind == creation {
		b = binary.AppendVarint(b, e.plan)
	}
	return appendText(b, e.body)
}

// entry reads what entry.encode wrote.
func (d *decoder) entry() (e entry) {
	e.kind, e.seq = d.signed(), d.signed()
	if e.kind == creation {
		e.plan = d.signed()
	}
	e.body = d.bytes()
	d.bad = d.bad || e.kind != creation && e.kind != change
	return e
}

// take adds an entry to the log, and to the draft of its run.
func (s *store) take(conn *sqlite.Conn, run string, e entry) error {
	s.batch = append(s.batch, e)
	return s.draft(conn, run, e)
}

// draft adds an entry to the draft of its run, which has an id where that is known.
func (s *store) draft(conn *sqlite.Conn, run string, e entry) error {
	d := s.drafts[e.seq]
	if d == nil {
		d = newDraft(e.seq, run)
		d.row = s.row + 1
		s.drafts[e.seq] = d
		s.order = append(s.order, d)
	}
	in := decoder{rest: e.body}
	if e.kind == creation {
		d.head(&in)
		d.plan = e.plan
		s.last = max(s.last, e.seq)
	}
	s.ids[d.id] = d
	d.entries = append(d.entries, e)
	s.size += e.size()
	err := d.change(&in, func(name string) (int64, error) { return s.status(conn, name) })
	if err == nil && d.status == 0 && d.created {
		d.status, err = s.status(conn, "")
	}
	return err
}

// commit makes what was taken durable: in the log, or in the tables if it is too much for
// that.
func (s *store) commit(conn *sqlite.Conn) error {
	if s.size > 2*maxDrafts {
		if err := s.fold(conn, 0); err != nil {
			return err
		}
	}
	if len(s.batch) == 0 {
		return nil
	}
	return s.log(conn, s.row+1)
}

// log inserts the entries of the batch as a row.
func (s *store) log(conn *sqlite.Conn, seq int64) error {
	s.room = s.room[:0]
	for _, e := range s.batch {
		s.room = e.encode(s.room)
	}
	clear(s.batch)
	s.batch, s.row, s.logged = s.batch[:0], max(s.row, seq), true
	s.await()
	return s.rows.row(conn, seq, s.room)
}

// recoverLog folds what a process that died left in the log.
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
			if in.bad {
				return errForm
			}
			if err := s.draft(conn, "", e); err != nil {
				return err
			}
		}
	}
	s.logged = true
	return s.fold(conn, none)
}
