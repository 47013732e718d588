package journal

import (
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A gap lies between two ids, or behind the last one, and no run in the tables has an id in
// it. New runs fall into it one after another, as their ids begin with the time, so that
// few of them have to be looked for.
type gap struct {
	from, to string // "": behind the last one
	known    bool
}

const selectNext = "SELECT id FROM runs WHERE id >= ? ORDER BY id LIMIT 1"

func (g *gap) has(id string) bool { return g.known && id > g.from && (id < g.to || g.to == "") }

// add notes that an id came into the tables.
func (g *gap) add(id string) {
	if g.has(id) {
		g.from = id
	}
}

// exists tells whether there is a run of an id.
func (s *store) exists(conn *sqlite.Conn, id string) (bool, error) {
	if s.ids[id] != nil {
		return true, nil
	}
	if s.gap.has(id) {
		return false, nil
	}
	next := ""
	err := sqlitefile.Query(conn, selectNext, func(row *sqlite.Stmt) { next = row.ColumnText(0) }, id)
	if err != nil || next == id {
		return next == id, err
	}
	s.gap = gap{id, next, true}
	return false, nil
}
