package journal

import (
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// An idGap is an open interval of ids that no run in the tables has. As ids begin with the
// time, those of new runs fall into it one after another, so that few of them have to be
// looked up.
type idGap struct {
	from, to string // to "": no upper bound
	known    bool
}

const selectNext = "SELECT id FROM runs WHERE id >= ? ORDER BY id LIMIT 1"

func (g *idGap) contains(id string) bool { return g.known && id > g.from && (id < g.to || g.to == "") }

// add shrinks the gap, as an id came into the tables.
func (g *idGap) add(id string) {
	if g.contains(id) {
		g.from = id
	}
}

// exists reports whether there is a run of an id.
func (s *store) exists(conn *sqlite.Conn, id string) (bool, error) {
	if s.pendingByID[id] != nil {
		return true, nil
	}
	if s.gap.contains(id) {
		return false, nil
	}
	next := ""
	err := sqlitefile.Query(conn, selectNext, func(row *sqlite.Stmt) { next = row.ColumnText(0) }, id)
	if err != nil || next == id {
		return next == id, err
	}
	s.gap = idGap{id, next, true}
	return false, nil
}
