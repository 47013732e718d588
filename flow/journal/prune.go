package journal

import (
	"context"
	"maps"
	"math"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// batch is how many runs or events one write forgets: others do not wait long for it.
const batch = 64

const (
	selectOldRuns   = "SELECT seq, id FROM runs WHERE seq >= ? AND seq < ? AND ended < ? AND unknown = 0 ORDER BY seq LIMIT ?"
	selectOldEvents = "SELECT seq, id FROM events WHERE done = 1 AND at < ? ORDER BY at LIMIT ?"
)

// An old one is a run or an event that may be forgotten.
type old struct {
	seq int64
	id  string
}

// Prune implements Journal. A run that ended before it started, because the clock went
// back, counts from its start.
func (j *SQLite) Prune(ctx context.Context, runs, events time.Time, most int) (int, error) {
	if most <= 0 {
		return 0, nil
	}
	ended, err := j.oldRuns(ctx, runs, most)
	if err != nil {
		return 0, err
	}
	n, err := j.forgetAll(ctx, ended, func(conn *sqlite.Conn, part []old) (int, error) {
		return j.store.pruneRuns(conn, part, runs)
	})
	j.forget(ended)
	if err != nil || n >= most {
		return n, err
	}
	done, err := j.oldEvents(ctx, events, most-n)
	if err != nil {
		return n, err
	}
	more, err := j.forgetAll(ctx, done, pruneEvents)
	return n + more, err
}

// forgetAll writes in small parts, between which others write.
func (j *SQLite) forgetAll(ctx context.Context, all []old, prune func(*sqlite.Conn, []old) (int, error)) (n int, err error) {
	for len(all) > 0 {
		part := all[:min(batch, len(all))]
		all = all[len(part):]
		err := j.file.WriteSoon(ctx, len(part)*overhead, func(conn *sqlite.Conn) error {
			pruned, err := prune(conn, part)
			n += pruned
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// oldRuns looks on where it ended the last time, and then from the start.
func (j *SQLite) oldRuns(ctx context.Context, before time.Time, most int) (runs []old, err error) {
	j.sweeping.Lock()
	defer j.sweeping.Unlock()
	err = j.reads.file(ctx, func(conn *sqlite.Conn) error {
		last := int64(0)
		err := sqlitefile.Query(conn, "SELECT max(seq) FROM runs", func(row *sqlite.Stmt) { last = row.ColumnInt64(0) })
		if err != nil {
			return err
		}
		_, end, err := numbersOf(conn, math.MinInt64, minuteOf(before))
		if err != nil {
			return err
		}
		look := func(from, end int64) error {
			return sqlitefile.Query(conn, selectOldRuns, func(row *sqlite.Stmt) {
				runs = append(runs, old{row.ColumnInt64(0), row.ColumnText(1)})
			}, from, end, stamp(before), most-len(runs))
		}
		end = min(end, last)
		if err := look(j.swept, end); err != nil {
			return err
		}
		return look(0, min(j.swept, end))
	})
	j.swept = 0
	if len(runs) > 0 && len(runs) == most {
		j.swept = runs[most-1].seq
	}
	return runs, err
}

func (j *SQLite) oldEvents(ctx context.Context, before time.Time, most int) (events []old, err error) {
	err = j.file.Read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, selectOldEvents, func(row *sqlite.Stmt) {
			events = append(events, old{row.ColumnInt64(0), row.ColumnText(1)})
		}, stamp(before), most)
	})
	return events, err
}

// pruneRuns forgets those of the runs that are still as old as that, and what nothing else
// needs then. It tells how many they were.
func (s *store) pruneRuns(conn *sqlite.Conn, runs []old, before time.Time) (n int, err error) {
	if err := s.foldAll(conn); err != nil {
		return 0, err
	}
	plans, blocks, gone, ended := map[int64]bool{}, map[int64]bool{}, map[int64]bool{}, map[ending]bool{}
	if len(s.pruned) > maxPruned {
		clear(s.pruned)
	}
	for _, run := range runs {
		found := false
		err := sqlitefile.Query(conn, "DELETE FROM runs WHERE seq = ? AND ended < ? AND unknown = 0 RETURNING plan", func(row *sqlite.Stmt) {
			plan := row.ColumnInt64(0)
			plans[plan], ended[ending{plan: plan, part: run.seq / perPart}], found = true, true, true
		}, run.seq, stamp(before))
		if err != nil {
			return n, err
		}
		if !found {
			continue
		}
		n++
		blocks[run.seq/perBlock] = true
		s.pruned[run.seq], gone[run.seq] = true, true
		if err := sqlitefile.Query(conn, "DELETE FROM records WHERE run = ?", nil, run.seq); err != nil {
			return n, err
		}
	}
	if err := cutSheaves(conn, gone); err != nil {
		return n, err
	}
	if err := cutMailings(conn, gone); err != nil {
		return n, err
	}
	for e := range ended {
		if err := sqlitefile.Query(conn, deleteEndings, nil, e.plan, e.part); err != nil {
			return n, err
		}
	}
	for block := range blocks {
		from, end := block*perBlock, (block+1)*perBlock
		err := sqlitefile.Query(conn, "DELETE FROM recipients WHERE key >= ? AND key < ? AND NOT EXISTS (SELECT 1 FROM runs WHERE seq >= ? AND seq < ?)",
			nil, recipientKey(from, 0), recipientKey(end, 0), from, end)
		if err != nil {
			return n, err
		}
	}
	for plan := range plans {
		if err := s.prunePlan(conn, plan); err != nil {
			return n, err
		}
	}
	return n, sqlitefile.Query(conn, "DELETE FROM stretches WHERE run < (SELECT max(run) FROM stretches WHERE run <= (SELECT min(seq) FROM runs))", nil)
}

// prunePlan forgets a plan that no run uses.
func (s *store) prunePlan(conn *sqlite.Conn, plan int64) error {
	used := false
	err := sqlitefile.Query(conn, `SELECT 1 FROM statuses WHERE EXISTS (SELECT 1 FROM endings WHERE status = code AND plan = ?1)
		UNION ALL SELECT EXISTS (SELECT 1 FROM open WHERE plan = ?1) LIMIT 1`, func(row *sqlite.Stmt) { used = row.ColumnBool(0) }, plan)
	if err != nil || used {
		return err
	}
	maps.DeleteFunc(s.plans, func(_ string, p stored) bool { return p.seq == plan })
	if err := sqlitefile.Query(conn, "DELETE FROM sources WHERE plan = ?", nil, plan); err != nil {
		return err
	}
	return sqlitefile.Query(conn, "DELETE FROM plans WHERE seq = ?", nil, plan)
}

func pruneEvents(conn *sqlite.Conn, events []old) (n int, err error) {
	for _, e := range events {
		var name string
		var subjects []string
		var at int64
		err := sqlitefile.Query(conn, "DELETE FROM events WHERE seq = ? AND id = ? AND done = 1 RETURNING name, subjects, at", func(row *sqlite.Stmt) {
			name, subjects, at = row.ColumnText(0), textsOf(row, 1), row.ColumnInt64(2)
			n++
		}, e.seq, e.id)
		if err != nil {
			return n, err
		}
		for _, subject := range subjects {
			err := sqlitefile.Query(conn, "DELETE FROM subjects WHERE hash = ? AND at = ? AND event = ?", nil, hash(name, subject), at, e.seq)
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}
