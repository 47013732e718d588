package journal

import (
	"cmp"
	"time"

	"zombiezen.com/go/sqlite"

	"facteur/sqlitefile"
)

const (
	maxFirst  = 2048    // bytes of records that lie with their run
	maxPruned = 1 << 14 // runs that are known to be pruned: who writes one found it just before
)

// A store changes the tables. Only the goroutine that writes uses it, with its connection.
type store struct {
	last     int64 // number of a run
	minute   int64 // in which that one started; 0: nobody knows
	plans    map[string]stored
	statuses map[string]int64
	pruned   map[int64]bool // runs, lately
	room     []byte         // to build something in

	insertRun, insertOpen, insertRecord, insertRecipient statement
	endRun, updateStatus, updateWaits, updateBoth        statement
	deleteOpen, wakeRun                                  statement
}

func newStore() *store {
	return &store{
		plans:    map[string]stored{},
		statuses: map[string]int64{},
		pruned:   map[int64]bool{},

		insertRun: statement{sql: `INSERT INTO runs (seq, id, plan, version, status, started, ended, unknown, starter, lock, inputs, first)
			VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`},
		insertOpen:      statement{sql: "INSERT INTO open (run, plan, status, waits) VALUES (?, ?, ?, ?)"},
		insertRecord:    statement{sql: "INSERT INTO records (run, at, kind, body) VALUES (?, ?, ?, ?)"},
		insertRecipient: statement{sql: "INSERT OR IGNORE INTO recipients (key, hash) VALUES (?, ?)"},
		endRun:          statement{sql: "UPDATE runs SET status = ?, ended = ? WHERE seq = ?"},
		deleteOpen:      statement{sql: "DELETE FROM open WHERE run = ?"},
		updateStatus:    statement{sql: "UPDATE open SET status = ? WHERE run = ?"},
		updateWaits:     statement{sql: "UPDATE open SET waits = ? WHERE run = ?"},
		updateBoth:      statement{sql: "UPDATE open SET status = ?, waits = ? WHERE run = ?"},
		wakeRun:         statement{sql: "UPDATE open SET status = ?, waits = NULL WHERE run = (SELECT seq FROM runs WHERE id = ?)"},
	}
}

// A statement is prepared when it is first used, and kept.
type statement struct {
	sql  string
	stmt *sqlite.Stmt
}

func (s *statement) on(conn *sqlite.Conn) (*sqlite.Stmt, error) {
	var err error
	if s.stmt == nil {
		s.stmt, err = conn.Prepare(s.sql)
	}
	return s.stmt, err
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

// create returns the run's number, 0 if there is a run of that id.
func (s *store) create(conn *sqlite.Conn, run Run, c Change) (int64, error) {
	if c.Status != "" {
		run.Status, run.Ended = c.Status, c.Ended
	}
	plan, err := s.plan(conn, run)
	if err != nil {
		return 0, err
	}
	status, err := s.status(conn, run.Status)
	if err != nil {
		return 0, err
	}
	q, err := s.insertRun.on(conn)
	if err != nil {
		return 0, err
	}
	seq, ended := s.last+1, int64(never)
	if !run.Ended.IsZero() {
		ended = stamp(run.Ended)
	}
	q.BindInt64(1, seq)
	q.BindText(2, run.ID)
	q.BindInt64(3, plan)
	q.BindInt64(4, int64(run.Version))
	q.BindInt64(5, status)
	q.BindInt64(6, stamp(run.Started))
	q.BindInt64(7, ended)
	q.BindText(8, run.By)
	q.BindText(9, run.Lock)
	q.BindBytes(10, run.Inputs)
	if size := recordsSize(c.Records); size <= maxFirst {
		s.room = encodeRecords(s.room[:0], c.Records)
		q.BindBytes(11, s.room)
		c.Records = nil
	} else {
		q.BindBytes(11, nil)
	}
	if err := exec(q); err != nil {
		return 0, err
	}
	if conn.Changes() == 0 {
		return 0, nil
	}
	s.last = seq
	if err := s.stretch(conn, seq, run.Started); err != nil {
		return 0, err
	}
	if ended == never {
		q, err := s.insertOpen.on(conn)
		if err != nil {
			return 0, err
		}
		q.BindInt64(1, seq)
		q.BindInt64(2, plan)
		q.BindInt64(3, status)
		bindWaits(q, 4, cmp.Or(c.Waits, &Waits{}))
		if err := exec(q); err != nil {
			return 0, err
		}
	}
	return seq, s.add(conn, seq, c)
}

// write stores a change of a run that was created, and tells whether it is still there.
func (s *store) write(conn *sqlite.Conn, seq int64, c Change) (found bool, err error) {
	if s.pruned[seq] {
		return false, nil
	}
	if err := s.add(conn, seq, c); err != nil {
		return true, err
	}
	switch {
	case c.Status == "" && c.Waits == nil:
		return true, nil
	case c.Status == "":
		return true, s.wait(conn, seq, c.Waits)
	}
	status, err := s.status(conn, c.Status)
	switch {
	case err != nil:
		return true, err
	case c.Ended.IsZero():
		return true, s.open(conn, seq, status, c.Waits)
	}
	return true, s.end(conn, seq, status, c.Ended)
}

// add stores what of a change is added to a run.
func (s *store) add(conn *sqlite.Conn, seq int64, c Change) error {
	if len(c.Records) > 0 {
		if err := s.record(conn, seq, c.Records); err != nil {
			return err
		}
	}
	for _, recipient := range c.Recipients {
		if err := s.recipient(conn, seq, recipient); err != nil {
			return err
		}
	}
	if len(c.Unknown)+len(c.Settled) > 0 {
		if err := count(conn, seq, c.Unknown, c.Settled); err != nil {
			return err
		}
	}
	for _, id := range c.Took {
		if err := sqlitefile.Query(conn, "UPDATE events SET claimed = 1 WHERE id = ?", nil, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) record(conn *sqlite.Conn, seq int64, records []Record) error {
	q, err := s.insertRecord.on(conn)
	if err != nil {
		return err
	}
	for _, r := range records {
		q.BindInt64(1, seq)
		q.BindInt64(2, stamp(r.At))
		q.BindText(3, r.Kind)
		q.BindBytes(4, r.Body)
		if err := exec(q); err != nil {
			return err
		}
	}
	return nil
}

// count adds and removes calls whose outcome nobody knows.
func count(conn *sqlite.Conn, seq int64, unknown, settled []string) error {
	for _, key := range unknown {
		if err := sqlitefile.Query(conn, "INSERT INTO unknowns (run, key) VALUES (?, ?) ON CONFLICT DO NOTHING", nil, seq, key); err != nil {
			return err
		}
	}
	for _, key := range settled {
		if err := sqlitefile.Query(conn, "DELETE FROM unknowns WHERE run = ? AND key = ?", nil, seq, key); err != nil {
			return err
		}
	}
	return sqlitefile.Query(conn, "UPDATE runs SET unknown = (SELECT count(*) FROM unknowns WHERE run = ?1) WHERE seq = ?1", nil, seq)
}

// wait stores what a run waits for, unless it has ended.
func (s *store) wait(conn *sqlite.Conn, seq int64, w *Waits) error {
	q, err := s.updateWaits.on(conn)
	if err != nil {
		return err
	}
	bindWaits(q, 1, w)
	q.BindInt64(2, seq)
	return exec(q)
}

// open stores a status of a run that has not ended, or not any more.
func (s *store) open(conn *sqlite.Conn, seq, status int64, w *Waits) error {
	update := &s.updateBoth
	if w == nil {
		update = &s.updateStatus
	}
	q, err := update.on(conn)
	if err != nil {
		return err
	}
	q.BindInt64(1, status)
	if w == nil {
		q.BindInt64(2, seq)
	} else {
		bindWaits(q, 2, w)
		q.BindInt64(3, seq)
	}
	if err := exec(q); err != nil || conn.Changes() > 0 {
		return err
	}
	if err := sqlitefile.Query(conn, "UPDATE runs SET ended = ? WHERE seq = ?", nil, never, seq); err != nil {
		return err
	}
	return sqlitefile.Query(conn, "INSERT INTO open (run, plan, status, waits) SELECT seq, plan, ?, ? FROM runs WHERE seq = ?", nil,
		status, cmp.Or(w, &Waits{}).encode(), seq)
}

func (s *store) end(conn *sqlite.Conn, seq, status int64, at time.Time) error {
	q, err := s.endRun.on(conn)
	if err != nil {
		return err
	}
	q.BindInt64(1, status)
	q.BindInt64(2, stamp(at))
	q.BindInt64(3, seq)
	if err := exec(q); err != nil {
		return err
	}
	if q, err = s.deleteOpen.on(conn); err != nil {
		return err
	}
	q.BindInt64(1, seq)
	return exec(q)
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
	q, err := s.wakeRun.on(conn)
	if err != nil {
		return err
	}
	for _, id := range runs {
		q.BindInt64(1, status)
		q.BindText(2, id)
		if err := exec(q); err != nil {
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

func bindWaits(q *sqlite.Stmt, param int, w *Waits) {
	if b := w.encode(); b != nil {
		q.BindBytes(param, b)
		return
	}
	q.BindNull(param)
}

// exec runs a prepared statement that returns no rows.
func exec(s *sqlite.Stmt) error {
	_, err := s.Step()
	if reset := s.Reset(); err == nil {
		err = reset
	}
	return err
}
