package journal

import (
	"cmp"
	"slices"

	"zombiezen.com/go/sqlite"
)

// An endedRange, a row of the table endings, is an entry of a block-range index of the runs
// that have ended: among the 64 runs of a range there may be ended ones of a status and a
// plan. Nearly all runs of a range share one, which costs SQLite much less than an index of
// all runs. An entry may be out of date: a query checks the runs.
type endedRange struct{ status, plan, runRange int64 }

// runsPerRange is a constant of the stored form; it is in the statements, too.
const runsPerRange = 64

const (
	// The plus signs keep SQLite from using the bounds of seq as an index range, which may
	// hold all runs, instead of the ranges, which hold few.
	listEnded = `SELECT seq FROM endings CROSS JOIN runs ON seq >= part * 64 AND seq < part * 64 + 64
		WHERE endings.status = ?1 AND endings.plan = ?2 AND part >= ?3 / 64 AND part <= ?4 / 64
		AND runs.status = ?1 AND runs.plan = ?2 AND ended < 9223372036854775807 AND +seq >= ?3 AND +seq < ?4
		ORDER BY part DESC, seq DESC LIMIT ?5`
	deleteEndedRanges = `DELETE FROM endings WHERE status IN (SELECT code FROM statuses) AND plan = ?1 AND part = ?2
		AND NOT EXISTS (SELECT 1 FROM runs WHERE seq >= ?2 * 64 AND seq < ?2 * 64 + 64
			AND runs.status = endings.status AND runs.plan = ?1 AND ended < 9223372036854775807)`
)

// insertEndedRanges indexes the new runs that have ended.
func (s *store) insertEndedRanges(conn *sqlite.Conn, runs []*pendingRun) error {
	var ranges []endedRange
	for _, p := range runs {
		r := endedRange{p.status, p.plan, p.seq / runsPerRange}
		if p.ended != notEnded && (len(ranges) == 0 || r != ranges[len(ranges)-1]) {
			ranges = append(ranges, r)
		}
	}
	slices.SortFunc(ranges, func(a, b endedRange) int {
		return cmp.Or(cmp.Compare(a.status, b.status), cmp.Compare(a.plan, b.plan), cmp.Compare(a.runRange, b.runRange))
	})
	ranges = slices.Compact(ranges)
	return s.endedRanges.Rows(conn, len(ranges), func(q *sqlite.Stmt, at, row int) {
		r := ranges[row]
		q.BindInt64(at+1, r.status)
		q.BindInt64(at+2, r.plan)
		q.BindInt64(at+3, r.runRange)
	}, nil)
}
