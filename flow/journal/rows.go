package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// create returns the run's number.
func (w *writer) create(run Run, hash [sha256.Size]byte, first Record) (int64, error) {
	plan, err := w.plan(run, hash)
	if err != nil {
		return 0, err
	}
	s := w.insertRun
	s.BindText(1, run.ID)
	s.BindText(2, run.Flow)
	s.BindInt64(3, plan)
	s.BindInt64(4, int64(run.Version))
	s.BindText(5, run.Status)
	bindTime(s, 6, run.Started)
	bindTime(s, 7, run.Ended)
	if err := exec(s); err != nil {
		return 0, err
	}
	if w.conn.Changes() == 0 {
		return 0, &ExistsError{run.ID}
	}
	seq := w.conn.LastInsertRowID()
	return seq, w.insert(seq, []Record{first})
}

// plan returns the number of the run's plan, and stores it if it is new.
func (w *writer) plan(run Run, hash [sha256.Size]byte) (seq int64, err error) {
	if seq, ok := w.plans[hash]; ok {
		return seq, nil
	}
	err = query(w.conn, "SELECT seq FROM plans WHERE hash = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, hash[:])
	if err != nil {
		return 0, err
	}
	if seq == 0 {
		err := query(w.conn, "INSERT INTO plans (hash, digest) VALUES (?, ?)", nil, hash[:], run.Digest)
		if err != nil {
			return 0, err
		}
		seq = w.conn.LastInsertRowID()
		for name, text := range run.Sources {
			err := query(w.conn, "INSERT INTO sources (plan, name, text) VALUES (?, ?, ?)", nil, seq, name, []byte(text))
			if err != nil {
				return 0, err
			}
		}
	}
	if len(w.plans) >= maxPlans {
		clear(w.plans)
	}
	w.plans[hash] = seq
	return seq, nil
}

func (w *writer) insert(run int64, records []Record) error {
	s := w.insertRecord
	for _, r := range records {
		s.BindInt64(1, run)
		bindTime(s, 2, r.At)
		s.BindText(3, r.Kind)
		s.BindBytes(4, r.Body)
		if err := exec(s); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) end(run int64, status string, at time.Time) error {
	s := w.endRun
	s.BindText(1, status)
	bindTime(s, 2, at)
	s.BindInt64(3, run)
	return exec(s)
}

// query calls each with the rows of a query; nil will do where none come.
func query(conn *sqlite.Conn, q string, each func(*sqlite.Stmt), args ...any) error {
	return sqlitex.Execute(conn, q, &sqlitex.ExecOptions{
		Args:       args,
		ResultFunc: func(row *sqlite.Stmt) error { each(row); return nil },
	})
}

// exec runs a prepared statement that returns no rows.
func exec(s *sqlite.Stmt) error {
	_, err := s.Step()
	if reset := s.Reset(); err == nil {
		err = reset
	}
	return err
}

// moment returns a column as a time.
func moment(row *sqlite.Stmt, col int) time.Time {
	if row.ColumnIsNull(col) {
		return time.Time{}
	}
	return time.Unix(0, row.ColumnInt64(col)).UTC()
}

// blob returns a copy of a column, nil if it is empty.
func blob(row *sqlite.Stmt, col int) []byte {
	if row.ColumnLen(col) == 0 {
		return nil
	}
	b := make([]byte, row.ColumnLen(col))
	row.ColumnBytes(col, b)
	return b
}

// bindTime is the reverse of moment. Nanoseconds reach from 1678 to 2262.
func bindTime(s *sqlite.Stmt, param int, t time.Time) {
	if t.IsZero() {
		s.BindNull(param)
		return
	}
	s.BindInt64(param, t.UnixNano())
}

// planHash identifies what the plans table holds of a run.
func planHash(run Run) (sum [sha256.Size]byte) {
	h := sha256.New()
	add := func(s string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	add(run.Digest)
	for _, name := range slices.Sorted(maps.Keys(run.Sources)) {
		add(name)
		add(run.Sources[name])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// size estimates what records add to a transaction.
func size(records ...Record) int {
	n := 0
	for _, r := range records {
		n += overhead + len(r.Body)
	}
	return n
}
