package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const maxPlans = 1024 // in store.plans

// A cachedPlan is a plan that is in the tables.
type cachedPlan struct {
	flow    string
	sources map[string]string
	seq     int64
}

// plan returns the number of the run's plan, and stores the plan if it is new.
func (s *store) plan(conn *sqlite.Conn, run Run) (seq int64, err error) {
	p, ok := s.plans[run.Digest]
	if ok && p.flow == run.Flow && maps.Equal(p.sources, run.Sources) {
		return p.seq, nil
	}
	hash := planHash(run)
	err = sqlitefile.Query(conn, "SELECT seq FROM plans WHERE hash = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, hash)
	if err != nil {
		return 0, err
	}
	if seq == 0 {
		err := sqlitefile.Query(conn, "INSERT INTO plans (hash, flow, digest) VALUES (?, ?, ?)", nil, hash, run.Flow, run.Digest)
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
	if len(s.plans) >= maxPlans {
		clear(s.plans)
	}
	s.plans[run.Digest] = cachedPlan{run.Flow, run.Sources, seq}
	return seq, nil
}

// planHash returns a hash of all that the tables have of a plan.
func planHash(run Run) []byte {
	h := sha256.New()
	add := func(s string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	add(run.Flow)
	add(run.Digest)
	for _, name := range slices.Sorted(maps.Keys(run.Sources)) {
		add(name)
		add(run.Sources[name])
	}
	return h.Sum(nil)
}
