package journal

import (
	"cmp"
	"slices"

	"zombiezen.com/go/sqlite"
)

// An ending says that among the runs of a part there are ended ones of a status and a plan.
// Nearly all runs of a part share one, which costs SQLite much less than an index of all
// runs. What it says may be out of date: who finds an ending looks at the runs.
type ending struct{ status, plan, part int64 }

// perPart is how many runs follow one another in a part. The statements say so, too.
const perPart = 64

const (
	// The plus signs keep SQLite within the parts, where few runs are, instead of between the
	// numbers, where all may be.
	listEnded = `SELECT seq FROM endings CROSS JOIN runs ON seq >= part * 64 AND seq < part * 64 + 64
		WHERE endings.status = ?1 AND endings.plan = ?2 AND part >= ?3 / 64 AND part <= ?4 / 64
		AND runs.status = ?1 AND runs.plan = ?2 AND ended < 9223372036854775807 AND +seq >= ?3 AND +seq < ?4
		ORDER BY part DESC, seq DESC LIMIT ?5`
	deleteEndings = `DELETE FROM endings WHERE status IN (SELECT code FROM statuses) AND plan = ?1 AND part = ?2
		AND NOT EXISTS (SELECT 1 FROM runs WHERE seq >= ?2 * 64 AND seq < ?2 * 64 + 64
			AND runs.status = endings.status AND runs.plan = ?1 AND ended < 9223372036854775807)`
)

// insertEndings notes how new runs ended.
func (s *store) insertEndings(conn *sqlite.Conn, runs []*draft) error {
	var endings []ending
	for _, d := range runs {
		e := ending{d.status, d.plan, d.seq / perPart}
		if d.ended != never && (len(endings) == 0 || e != endings[len(endings)-1]) {
			endings = append(endings, e)
		}
	}
	slices.SortFunc(endings, func(a, b ending) int {
		return cmp.Or(cmp.Compare(a.status, b.status), cmp.Compare(a.plan, b.plan), cmp.Compare(a.part, b.part))
	})
	endings = slices.Compact(endings)
	return s.endings.Rows(conn, len(endings), func(q *sqlite.Stmt, at, row int) {
		e := endings[row]
		q.BindInt64(at+1, e.status)
		q.BindInt64(at+2, e.plan)
		q.BindInt64(at+3, e.part)
	}, nil)
}
