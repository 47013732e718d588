package journal

import (
	"cmp"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const maxPruned = 1 << 14 // runs that are known to be pruned: who writes one found it just before

// A store changes the tables. Only the goroutine that writes uses it, with its connection.
type store struct {
	last     int64 // number of a run
	minute   int64 // in which that one started; 0: nobody knows
	plans    map[string]stored
	statuses map[string]int64
	pruned   map[int64]bool // runs, lately
	gap      gap
	room     []byte // to build something in

	drafts  map[int64]*draft
	ids     map[string]*draft // those of which the id is known
	order   []*draft          // in which they were begun
	size    int               // of them, in bytes, more or less
	row     int64             // the last one of the log
	logged  bool              // that is not empty
	batch   []entry           // not in the log yet
	later   func()            // has foldLate called, later; nil: nobody does
	awaited bool              // it will be
	lately  int64             // the row of the log when it was called last

	rows, sheaves, mailings           blobInsert // of the log, and those
	runs, opened, records, recipients sqlitefile.Insert
	endings                           sqlitefile.Insert
	insertEnding                      sqlitefile.Statement
	endRun, updateStatus, updateWaits sqlitefile.Statement
	updateBoth, deleteOpen, wakeRun   sqlitefile.Statement
}

func newStore() *store {
	return &store{
		plans:    map[string]stored{},
		statuses: map[string]int64{},
		pruned:   map[int64]bool{},
		drafts:   map[int64]*draft{},
		ids:      map[string]*draft{},

		// No row is there already. OR FAIL spares SQLite a copy of each page, for the case
		// that one is.
		runs:         sqlitefile.NewInsert("INSERT OR FAIL INTO runs (seq, id, plan, version, status, started, ended, unknown, starter, lock, inputs, first)", "?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, x''"),
		recipients:   sqlitefile.NewInsert("INSERT OR IGNORE INTO recipients (key, hash)", "?, ?"),
		opened:       sqlitefile.NewInsert("INSERT OR FAIL INTO open (run, plan, status, waits)", "?, ?, ?, ?"),
		records:      sqlitefile.NewInsert("INSERT OR FAIL INTO records (run, at, kind, body)", "?, ?, ?, ?"),
		rows:         newBlobInsert("log", "seq", "changes"),
		sheaves:      newBlobInsert("sheaves", "run", "records"),
		mailings:     newBlobInsert("mailings", "run", "recipients"),
		endings:      sqlitefile.NewInsert("INSERT OR IGNORE INTO endings (status, plan, part)", "?, ?, ?"),
		insertEnding: sqlitefile.Statement{SQL: "INSERT OR IGNORE INTO endings (status, plan, part) SELECT status, plan, seq / 64 FROM runs WHERE seq = ?"},
		endRun:       sqlitefile.Statement{SQL: "UPDATE runs SET status = ?, ended = ? WHERE seq = ?"},
		deleteOpen:   sqlitefile.Statement{SQL: "DELETE FROM open WHERE run = ?"},
		updateStatus: sqlitefile.Statement{SQL: "UPDATE open SET status = ? WHERE run = ?"},
		updateWaits:  sqlitefile.Statement{SQL: "UPDATE open SET waits = ? WHERE run = ?"},
		updateBoth:   sqlitefile.Statement{SQL: "UPDATE open SET status = ?, waits = ? WHERE run = ?"},
		wakeRun:      sqlitefile.Statement{SQL: "UPDATE open SET status = ?, waits = NULL WHERE run = (SELECT seq FROM runs WHERE id = ?)"},
	}
}

// load reads what the store has to know of a file.
func (s *store) load(conn *sqlite.Conn) error {
	err := sqlitefile.Query(conn, "SELECT max(seq) FROM runs", func(row *sqlite.Stmt) { s.last = row.ColumnInt64(0) })
	if err != nil {
		return err
	}
	return sqlitefile.Query(conn, "SELECT name, code FROM statuses", func(row *sqlite.Stmt) {
		s.statuses[row.ColumnText(0)] = row.ColumnInt64(1)
	})
}

// create takes a new run, and returns its number, 0 if there is a run of that id.
func (s *store) create(conn *sqlite.Conn, run Run, took []string, body []byte) (int64, error) {
	if exists, err := s.exists(conn, run.ID); err != nil || exists {
		return 0, err
	}
	plan, err := s.plan(conn, run)
	seq := s.last + 1
	if err == nil {
		err = s.stretch(conn, seq, run.Started)
	}
	if err == nil {
		err = claim(conn, took)
	}
	if err != nil {
		return 0, err
	}
	return seq, s.take(conn, run.ID, entry{creation, seq, plan, body})
}

// number returns the number of a run, 0 if there is none of that id.
func (s *store) number(conn *sqlite.Conn, run string) (int64, error) {
	if d := s.ids[run]; d != nil {
		return d.seq, nil
	}
	return numberOf(conn, run)
}

// write takes a change of a run, and tells whether that is still there.
func (s *store) write(conn *sqlite.Conn, run string, seq int64, took []string, body []byte) (found bool, err error) {
	if s.pruned[seq] {
		return false, nil
	}
	if err := claim(conn, took); err != nil {
		return true, err
	}
	return true, s.take(conn, run, entry{kind: change, seq: seq, body: body})
}

// updateRun brings into the tables what a draft changes of a run that is there already.
func (s *store) updateRun(conn *sqlite.Conn, d *draft) error {
	if d.early != nil {
		if err := s.wait(conn, d.seq, *d.early); err != nil {
			return err
		}
	}
	switch {
	case d.status == 0:
		return nil
	case d.ended == never:
		return s.open(conn, d.seq, d.status, d.waits)
	}
	return s.end(conn, d.seq, d.status, d.ended)
}

// count adds and removes calls whose outcome nobody knows.
func count(conn *sqlite.Conn, seq int64, doubts []doubt) error {
	if len(doubts) == 0 {
		return nil
	}
	for _, d := range doubts {
		statement := "INSERT INTO unknowns (run, key) VALUES (?, ?) ON CONFLICT DO NOTHING"
		if d.settled {
			statement = "DELETE FROM unknowns WHERE run = ? AND key = ?"
		}
		if err := sqlitefile.Query(conn, statement, nil, seq, d.key); err != nil {
			return err
		}
	}
	return sqlitefile.Query(conn, "UPDATE runs SET unknown = (SELECT count(*) FROM unknowns WHERE run = ?1) WHERE seq = ?1", nil, seq)
}

// wait stores what a run waits for, unless it has ended.
func (s *store) wait(conn *sqlite.Conn, seq int64, waits []byte) error {
	q, err := s.updateWaits.On(conn)
	if err != nil {
		return err
	}
	bindWaits(q, 1, &waits)
	q.BindInt64(2, seq)
	return sqlitefile.Exec(q)
}

// open stores a status of a run that has not ended, or not any more, and what it waits for
// unless that is nil.
func (s *store) open(conn *sqlite.Conn, seq, status int64, waits *[]byte) error {
	update := &s.updateBoth
	if waits == nil {
		update = &s.updateStatus
	}
	q, err := update.On(conn)
	if err != nil {
		return err
	}
	q.BindInt64(1, status)
	if waits == nil {
		q.BindInt64(2, seq)
	} else {
		bindWaits(q, 2, waits)
		q.BindInt64(3, seq)
	}
	if err := sqlitefile.Exec(q); err != nil || conn.Changes() > 0 {
		return err
	}
	if err := sqlitefile.Query(conn, "UPDATE runs SET ended = ? WHERE seq = ?", nil, never, seq); err != nil {
		return err
	}
	return sqlitefile.Query(conn, "INSERT INTO open (run, plan, status, waits) SELECT seq, plan, ?, ? FROM runs WHERE seq = ?", nil,
		status, *cmp.Or(waits, new([]byte)), seq)
}

func (s *store) end(conn *sqlite.Conn, seq, status, at int64) error {
	q, err := s.endRun.On(conn)
	if err != nil {
		return err
	}
	q.BindInt64(1, status)
	q.BindInt64(2, at)
	q.BindInt64(3, seq)
	if err := sqlitefile.Exec(q); err != nil {
		return err
	}
	for _, statement := range [...]*sqlitefile.Statement{&s.insertEnding, &s.deleteOpen} {
		if q, err = statement.On(conn); err != nil {
			return err
		}
		q.BindInt64(1, seq)
		if err := sqlitefile.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

// wake makes runs running that have not ended.
func (s *store) wake(conn *sqlite.Conn, runs []string) error {
	if len(runs) == 0 {
		return nil
	}
	status, err := s.status(conn, running)
	if err != nil {
		return err
	}
	q, err := s.wakeRun.On(conn)
	if err != nil {
		return err
	}
	for _, id := range runs {
		if err := s.foldRun(conn, id); err != nil {
			return err
		}
		q.BindInt64(1, status)
		q.BindText(2, id)
		if err := sqlitefile.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

// status returns the code of a status, and stores it if it is new.
func (s *store) status(conn *sqlite.Conn, name string) (int64, error) {
	if code, ok := s.statuses[name]; ok {
		return code, nil
	}
	if err := sqlitefile.Query(conn, "INSERT INTO statuses (name) VALUES (?)", nil, name); err != nil {
		return 0, err
	}
	s.statuses[name] = conn.LastInsertRowID()
	return s.statuses[name], nil
}

// stretch notes the first of the runs that started in one minute.
func (s *store) stretch(conn *sqlite.Conn, seq int64, started time.Time) error {
	minute := minuteOf(started)
	if minute == s.minute && minute != 0 {
		return nil
	}
	s.minute = minute
	return sqlitefile.Query(conn, "INSERT INTO stretches (run, minute) VALUES (?, ?)", nil, seq, minute)
}

// bindWaits binds an encoded Waits, null for nothing.
func bindWaits(q *sqlite.Stmt, param int, waits *[]byte) {
	if waits != nil && len(*waits) > 0 {
		q.BindBytes(param, *waits)
		return
	}
	q.BindNull(param)
}
