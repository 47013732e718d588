package journal

import (
	"cmp"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// maxRecentlyPruned is how many pruned runs a store remembers. A writer holds a run's number
// only for a moment, so that the latest are enough.
const maxRecentlyPruned = 1 << 14

// A store writes the tables. Only the writer goroutine uses it, with its connection.
type store struct {
	lastRun        int64                 // the largest run number
	minute         int64                 // in which that run started; 0: unknown
	plans          map[string]cachedPlan // by digest
	statuses       map[string]int64      // codes by name
	recentlyPruned map[int64]bool        // by run number
	gap            idGap
	buf            []byte // scratch memory

	pending      map[int64]*pendingRun  // by run number
	pendingByID  map[string]*pendingRun // those whose id is known
	pendingOrder []*pendingRun          // the first changed first
	pendingBytes int                    // about their size in memory
	lastRow      int64                  // the largest row number of the log so far
	logHasRows   bool
	unlogged     []logEntry // of this transaction, not in the log yet
	startTimer   func()     // has flushOld called after flushDelay; nil: never
	scheduled    bool       // the timer runs
	flushedRow   int64      // lastRow at the latest flushOld

	logRows, recordChunks, recipientChunks    blobInsert // of the log, and those
	runs, openRuns, records, recipients       sqlitefile.Insert
	endedRanges                               sqlitefile.Insert
	insertEndedRange                          sqlitefile.Statement
	endRun, updateStatus, updateWaits         sqlitefile.Statement
	updateStatusAndWaits, deleteOpen, wakeRun sqlitefile.Statement
}

func newStore() *store {
	return &store{
		plans:          map[string]cachedPlan{},
		statuses:       map[string]int64{},
		recentlyPruned: map[int64]bool{},
		pending:        map[int64]*pendingRun{},
		pendingByID:    map[string]*pendingRun{},

		// These rows never exist already. OR FAIL spares SQLite the journaling of each page
		// that undoing the statement would need if one did.
		runs:                 sqlitefile.NewInsert("INSERT OR FAIL INTO runs (seq, id, plan, version, status, started, ended, unknown, starter, lock, inputs, first)", "?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, x''"),
		recipients:           sqlitefile.NewInsert("INSERT OR IGNORE INTO recipients (key, hash)", "?, ?"),
		openRuns:             sqlitefile.NewInsert("INSERT OR FAIL INTO open (run, plan, status, waits)", "?, ?, ?, ?"),
		records:              sqlitefile.NewInsert("INSERT OR FAIL INTO records (run, at, kind, body)", "?, ?, ?, ?"),
		logRows:              newBlobInsert("log", "seq", "changes"),
		recordChunks:         newBlobInsert("sheaves", "run", "records"),
		recipientChunks:      newBlobInsert("mailings", "run", "recipients"),
		endedRanges:          sqlitefile.NewInsert("INSERT OR IGNORE INTO endings (status, plan, part)", "?, ?, ?"),
		insertEndedRange:     sqlitefile.Statement{SQL: "INSERT OR IGNORE INTO endings (status, plan, part) SELECT status, plan, seq / 64 FROM runs WHERE seq = ?"},
		endRun:               sqlitefile.Statement{SQL: "UPDATE runs SET status = ?, ended = ? WHERE seq = ?"},
		deleteOpen:           sqlitefile.Statement{SQL: "DELETE FROM open WHERE run = ?"},
		updateStatus:         sqlitefile.Statement{SQL: "UPDATE open SET status = ? WHERE run = ?"},
		updateWaits:          sqlitefile.Statement{SQL: "UPDATE open SET waits = ? WHERE run = ?"},
		updateStatusAndWaits: sqlitefile.Statement{SQL: "UPDATE open SET status = ?, waits = ? WHERE run = ?"},
		wakeRun:              sqlitefile.Statement{SQL: "UPDATE open SET status = ?, waits = NULL WHERE run = (SELECT seq FROM runs WHERE id = ?)"},
	}
}

// load reads what the store keeps in memory of a file.
func (s *store) load(conn *sqlite.Conn) error {
	err := sqlitefile.Query(conn, "SELECT max(seq) FROM runs", func(row *sqlite.Stmt) { s.lastRun = row.ColumnInt64(0) })
	if err != nil {
		return err
	}
	return sqlitefile.Query(conn, "SELECT name, code FROM statuses", func(row *sqlite.Stmt) {
		s.statuses[row.ColumnText(0)] = row.ColumnInt64(1)
	})
}

// create stores a new run, and returns its number, 0 if there is a run of that id. consumed
// are the ids of events, body is the encoded run and change.
func (s *store) create(conn *sqlite.Conn, run Run, consumed []string, body []byte) (int64, error) {
	if exists, err := s.exists(conn, run.ID); err != nil || exists {
		return 0, err
	}
	plan, err := s.plan(conn, run)
	seq := s.lastRun + 1
	if err == nil {
		err = s.indexMinute(conn, seq, run.Started)
	}
	if err == nil {
		err = claim(conn, consumed)
	}
	if err != nil {
		return 0, err
	}
	return seq, s.append(conn, run.ID, logEntry{runCreated, seq, plan, body})
}

// number returns the number of a run, 0 if there is none of that id.
func (s *store) number(conn *sqlite.Conn, run string) (int64, error) {
	if p := s.pendingByID[run]; p != nil {
		return p.seq, nil
	}
	return numberOf(conn, run)
}

// write stores an encoded change of a run, and reports whether the run is still there.
func (s *store) write(conn *sqlite.Conn, run string, seq int64, consumed []string, body []byte) (found bool, err error) {
	if s.recentlyPruned[seq] {
		return false, nil
	}
	if err := claim(conn, consumed); err != nil {
		return true, err
	}
	return true, s.append(conn, run, logEntry{kind: runChanged, seq: seq, body: body})
}

// updateRun updates the tables with what is pending of a run that is there already.
func (s *store) updateRun(conn *sqlite.Conn, p *pendingRun) error {
	if p.earlyWaits != nil {
		if err := s.updateRunWaits(conn, p.seq, *p.earlyWaits); err != nil {
			return err
		}
	}
	switch {
	case p.status == 0:
		return nil
	case p.ended == notEnded:
		return s.updateOpen(conn, p.seq, p.status, p.waits)
	}
	return s.endRunRow(conn, p.seq, p.status, p.ended)
}

// updateUnknowns adds and removes calls of a run whose outcome is unknown.
func updateUnknowns(conn *sqlite.Conn, seq int64, calls []unknownCall) error {
	if len(calls) == 0 {
		return nil
	}
	for _, c := range calls {
		statement := "INSERT INTO unknowns (run, key) VALUES (?, ?) ON CONFLICT DO NOTHING"
		if c.settled {
			statement = "DELETE FROM unknowns WHERE run = ? AND key = ?"
		}
		if err := sqlitefile.Query(conn, statement, nil, seq, c.key); err != nil {
			return err
		}
	}
	return sqlitefile.Query(conn, "UPDATE runs SET unknown = (SELECT count(*) FROM unknowns WHERE run = ?1) WHERE seq = ?1", nil, seq)
}

// updateRunWaits stores what a run waits for, unless it has ended.
func (s *store) updateRunWaits(conn *sqlite.Conn, seq int64, waits []byte) error {
	return s.updateWaits.Exec(conn, func(q *sqlite.Stmt) {
		bindWaits(q, 1, &waits)
		q.BindInt64(2, seq)
	})
}

// updateOpen stores the status of a run that has not ended, or goes on after it had, and what
// it waits for unless that is nil.
func (s *store) updateOpen(conn *sqlite.Conn, seq, status int64, waits *[]byte) error {
	update, params := &s.updateStatus, 2
	if waits != nil {
		update, params = &s.updateStatusAndWaits, 3
	}
	err := update.Exec(conn, func(q *sqlite.Stmt) {
		q.BindInt64(1, status)
		if waits != nil {
			bindWaits(q, 2, waits)
		}
		q.BindInt64(params, seq)
	})
	if err != nil || conn.Changes() > 0 {
		return err
	}
	if err := sqlitefile.Query(conn, "UPDATE runs SET ended = ? WHERE seq = ?", nil, notEnded, seq); err != nil {
		return err
	}
	return sqlitefile.Query(conn, "INSERT INTO open (run, plan, status, waits) SELECT seq, plan, ?, ? FROM runs WHERE seq = ?", nil,
		status, *cmp.Or(waits, new([]byte)), seq)
}

func (s *store) endRunRow(conn *sqlite.Conn, seq, status, at int64) error {
	err := s.endRun.Exec(conn, func(q *sqlite.Stmt) {
		q.BindInt64(1, status)
		q.BindInt64(2, at)
		q.BindInt64(3, seq)
	})
	if err == nil {
		err = s.insertEndedRange.Exec(conn, func(q *sqlite.Stmt) { q.BindInt64(1, seq) })
	}
	if err == nil {
		err = s.deleteOpen.Exec(conn, func(q *sqlite.Stmt) { q.BindInt64(1, seq) })
	}
	return err
}

// wake sets runs that have not ended to running.
func (s *store) wake(conn *sqlite.Conn, runs []string) error {
	if len(runs) == 0 {
		return nil
	}
	status, err := s.status(conn, running)
	if err != nil {
		return err
	}
	for _, id := range runs {
		if err := s.flushRun(conn, id); err != nil {
			return err
		}
		err := s.wakeRun.Exec(conn, func(q *sqlite.Stmt) {
			q.BindInt64(1, status)
			q.BindText(2, id)
		})
		if err != nil {
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

// indexMinute indexes a new run by the minute in which it started, unless the run before it
// started in the same one.
func (s *store) indexMinute(conn *sqlite.Conn, seq int64, started time.Time) error {
	minute := minuteOf(started)
	if minute == s.minute && minute != 0 {
		return nil
	}
	s.minute = minute
	return sqlitefile.Query(conn, "INSERT INTO stretches (run, minute) VALUES (?, ?)", nil, seq, minute)
}

// bindWaits binds an encoded Waits, or null if it is nil or empty.
func bindWaits(q *sqlite.Stmt, param int, waits *[]byte) {
	if waits != nil && len(*waits) > 0 {
		q.BindBytes(param, *waits)
		return
	}
	q.BindNull(param)
}
