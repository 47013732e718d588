package journal

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// pruneBatch is how many runs or events one transaction deletes: other writes do not wait
// long for it.
const pruneBatch = 64

const (
	selectPrunableRuns   = "SELECT seq, id FROM runs WHERE seq >= ? AND seq < ? AND ended < ? AND unknown = 0 ORDER BY seq LIMIT ?"
	selectPrunableEvents = "SELECT seq, id FROM events WHERE done = 1 AND at < ? ORDER BY at LIMIT ?"
)

// A prunable one is a run or an event that may be forgotten.
type prunable struct {
	seq int64
	id  string
}

// Prune implements Journal. A run that ended before it started, because the clock went
// back, is as old as its start.
func (j *SQLite) Prune(ctx context.Context, runs, events time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	ended, err := j.prunableRuns(ctx, runs, limit)
	if err != nil {
		return 0, err
	}
	n, err := j.pruneInBatches(ctx, ended, func(conn *sqlite.Conn, part []prunable) (int, error) {
		return j.store.pruneRuns(conn, part, runs)
	})
	j.uncacheNumbers(ended)
	if err != nil || n >= limit {
		return n, err
	}
	done, err := j.prunableEvents(ctx, events, limit-n)
	if err != nil {
		return n, err
	}
	more, err := j.pruneInBatches(ctx, done, pruneEvents)
	return n + more, err
}

// pruneInBatches prunes in small transactions, between which others write.
func (j *SQLite) pruneInBatches(ctx context.Context, all []prunable, prune func(*sqlite.Conn, []prunable) (int, error)) (n int, err error) {
	for part := range slices.Chunk(all, pruneBatch) {
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

// prunableRuns returns runs that may be deleted. It searches from where the last search
// ended, and then from the start.
func (j *SQLite) prunableRuns(ctx context.Context, before time.Time, limit int) (runs []prunable, err error) {
	j.pruneMu.Lock()
	defer j.pruneMu.Unlock()
	err = j.queries.read(ctx, func(conn *sqlite.Conn) error {
		last := int64(0)
		err := sqlitefile.Query(conn, "SELECT max(seq) FROM runs", func(row *sqlite.Stmt) { last = row.ColumnInt64(0) })
		if err != nil {
			return err
		}
		_, end, err := numbersOfMinutes(conn, math.MinInt64, minuteOf(before))
		if err != nil {
			return err
		}
		search := func(from, end int64) error {
			return sqlitefile.Query(conn, selectPrunableRuns, func(row *sqlite.Stmt) {
				runs = append(runs, prunable{row.ColumnInt64(0), row.ColumnText(1)})
			}, from, end, encodeTime(before), limit-len(runs))
		}
		end = min(end, last)
		if err := search(j.pruneFrom, end); err != nil {
			return err
		}
		return search(0, min(j.pruneFrom, end))
	})
	j.pruneFrom = 0
	if len(runs) > 0 && len(runs) == limit {
		j.pruneFrom = runs[limit-1].seq
	}
	return runs, err
}

func (j *SQLite) prunableEvents(ctx context.Context, before time.Time, limit int) (events []prunable, err error) {
	err = j.file.Read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, selectPrunableEvents, func(row *sqlite.Stmt) {
			events = append(events, prunable{row.ColumnInt64(0), row.ColumnText(1)})
		}, encodeTime(before), limit)
	})
	return events, err
}

// pruneRuns deletes those of the runs that still ended before a time, and what only they
// used. It returns how many it deleted.
func (s *store) pruneRuns(conn *sqlite.Conn, runs []prunable, before time.Time) (n int, err error) {
	if err := s.flushAll(conn); err != nil {
		return 0, err
	}
	plans, blocks, gone, ended := map[int64]bool{}, map[int64]bool{}, map[int64]bool{}, map[endedRange]bool{}
	if len(s.recentlyPruned) > maxRecentlyPruned {
		clear(s.recentlyPruned)
	}
	for _, run := range runs {
		found := false
		err := sqlitefile.Query(conn, "DELETE FROM runs WHERE seq = ? AND ended < ? AND unknown = 0 RETURNING plan", func(row *sqlite.Stmt) {
			plan := row.ColumnInt64(0)
			plans[plan], ended[endedRange{plan: plan, runRange: run.seq / runsPerRange}], found = true, true, true
		}, run.seq, encodeTime(before))
		if err != nil {
			return n, err
		}
		if !found {
			continue
		}
		n++
		blocks[run.seq/perBlock] = true
		s.recentlyPruned[run.seq], gone[run.seq] = true, true
		if err := sqlitefile.Query(conn, "DELETE FROM records WHERE run = ?", nil, run.seq); err != nil {
			return n, err
		}
	}
	if err := cutRecordChunks(conn, gone); err != nil {
		return n, err
	}
	if err := cutRecipientChunks(conn, gone); err != nil {
		return n, err
	}
	for e := range ended {
		if err := sqlitefile.Query(conn, deleteEndedRanges, nil, e.plan, e.runRange); err != nil {
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

// prunePlan deletes a plan if no run uses it.
func (s *store) prunePlan(conn *sqlite.Conn, plan int64) error {
	used := false
	err := sqlitefile.Query(conn, `SELECT 1 FROM statuses WHERE EXISTS (SELECT 1 FROM endings WHERE status = code AND plan = ?1)
		UNION ALL SELECT EXISTS (SELECT 1 FROM open WHERE plan = ?1) LIMIT 1`, func(row *sqlite.Stmt) { used = row.ColumnBool(0) }, plan)
	if err != nil || used {
		return err
	}
	maps.DeleteFunc(s.plans, func(_ string, p cachedPlan) bool { return p.seq == plan })
	if err := sqlitefile.Query(conn, "DELETE FROM sources WHERE plan = ?", nil, plan); err != nil {
		return err
	}
	return sqlitefile.Query(conn, "DELETE FROM plans WHERE seq = ?", nil, plan)
}

func pruneEvents(conn *sqlite.Conn, events []prunable) (n int, err error) {
	for _, e := range events {
		var name string
		var subjects []string
		var at int64
		err := sqlitefile.Query(conn, "DELETE FROM events WHERE seq = ? AND id = ? AND done = 1 RETURNING name, subjects, at", func(row *sqlite.Stmt) {
			name, subjects, at = row.ColumnText(0), columnTexts(row, 1), row.ColumnInt64(2)
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
