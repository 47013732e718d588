package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"facteur/sqlitefile"
)

const (
	overhead = 64   // bytes that a record costs beside its body
	maxPlans = 1024 // of which the numbers are remembered
)

// A plans knows the numbers of plans by the hash of what is stored of them. Only writes
// use it.
type plans map[[sha256.Size]byte]int64

// create returns the run's number, 0 if there is a run of that id.
func (p plans) create(conn *sqlite.Conn, run Run, hash [sha256.Size]byte) (int64, error) {
	plan, err := p.number(conn, run, hash)
	if err != nil {
		return 0, err
	}
	s, err := conn.Prepare(`INSERT INTO runs (id, flow, plan, version, status, started, ended)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`)
	if err != nil {
		return 0, err
	}
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
	if conn.Changes() == 0 {
		return 0, nil
	}
	return conn.LastInsertRowID(), nil
}

// number returns the number of the run's plan, and stores it if it is new.
func (p plans) number(conn *sqlite.Conn, run Run, hash [sha256.Size]byte) (seq int64, err error) {
	if seq, ok := p[hash]; ok {
		return seq, nil
	}
	err = sqlitefile.Query(conn, "SELECT seq FROM plans WHERE hash = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, hash[:])
	if err != nil {
		return 0, err
	}
	if seq == 0 {
		err := sqlitefile.Query(conn, "INSERT INTO plans (hash, digest) VALUES (?, ?)", nil, hash[:], run.Digest)
		if err != nil {
			return 0, err
		}
		seq = conn.LastInsertRowID()
		for name, text := range run.Sources {
			err := sqlitefile.Query(conn, "INSERT INTO sources (plan, name, text) VALUES (?, ?, ?)", nil, seq, name, []byte(text))
			if err != nil {
				return 0, err
			}
		}
	}
	if len(p) >= maxPlans {
		clear(p)
	}
	p[hash] = seq
	return seq, nil
}

func apply(conn *sqlite.Conn, run int64, c Change) error {
	if err := insert(conn, run, c.Records); err != nil || c.Status == "" {
		return err
	}
	return end(conn, run, c.Status, c.Ended)
}

func insert(conn *sqlite.Conn, run int64, records []Record) error {
	s, err := conn.Prepare("INSERT INTO records (run, at, kind, body) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
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

func end(conn *sqlite.Conn, run int64, status string, at time.Time) error {
	return sqlitefile.Query(conn, "UPDATE runs SET status = ?, ended = ? WHERE seq = ?", nil, status, sqlitefile.Nanos(at), run)
}

// exec runs a prepared statement that returns no rows.
func exec(s *sqlite.Stmt) error {
	_, err := s.Step()
	if reset := s.Reset(); err == nil {
		err = reset
	}
	return err
}

// bindTime binds what sqlitefile.Nanos gives.
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
