package journal

import (
	"container/heap"
	"context"
	"math"
	"slices"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// List is as in Journal. Its cost grows with the runs that it returns, the plans of the flow,
// and the open runs; not with the stored runs, except that a search for a recipient reads a
// few bytes of each, in recipient chunks.
func (r queries) List(ctx context.Context, f Filter) (runs []Run, err error) {
	err = r.read(ctx, func(conn *sqlite.Conn) error {
		from, before, err := bounds(conn, f)
		if err != nil {
			return err
		}
		lists, err := candidates(conn, f)
		if err != nil {
			return err
		}
		h := headReader{conn: conn, withSources: true}
		return merge(lists, from, before, func(seq int64) (more bool, err error) {
			if len(runs) == f.limit() {
				return false, nil
			}
			run, found, err := h.run(headBySeq, seq)
			if err == nil && found && f.matches(run) {
				runs = append(runs, run)
			}
			return true, err
		})
	})
	return runs, err
}

// bounds returns the numbers [from, before) of the runs that a filter may select. It looks
// times up in the minute index: numbers need not be in the order of time, as the clock may
// go back.
func bounds(conn *sqlite.Conn, f Filter) (from, before int64, err error) {
	from, before = 0, int64(math.MaxInt64)
	if f.Before > 0 {
		before = f.Before
	}
	if f.Since.IsZero() && f.Until.IsZero() {
		return from, before, nil
	}
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		since = minuteOf(f.Since)
	}
	if !f.Until.IsZero() {
		until = minuteOf(f.Until)
	}
	first, end, err := numbersOfMinutes(conn, since, until)
	return first, min(before, end), err
}

// numbersOfMinutes returns the numbers [first, end) that hold all runs that started in the
// minutes from since to until; both are 0 if there are none.
func numbersOfMinutes(conn *sqlite.Conn, since, until int64) (first, end int64, err error) {
	last := int64(0)
	err = sqlitefile.Query(conn, "SELECT min(run), max(run) FROM stretches WHERE minute BETWEEN ? AND ?", func(row *sqlite.Stmt) {
		first, last = row.ColumnInt64(0), row.ColumnInt64(1)
	}, since, until)
	if err != nil || first == 0 {
		return 0, 0, err
	}
	end = math.MaxInt64
	err = sqlitefile.Query(conn, "SELECT run FROM stretches WHERE run > ? ORDER BY run LIMIT 1", func(row *sqlite.Stmt) {
		end = row.ColumnInt64(0)
	}, last)
	return first, end, err
}

// A runList returns up to n numbers of runs in [from, before), the largest first.
type runList func(from, before int64, n int) ([]int64, error)

// candidates returns lists whose union has all runs that the filter selects, and others.
func candidates(conn *sqlite.Conn, f Filter) ([]runList, error) {
	selected := func(query string, args ...any) runList {
		return func(from, before int64, n int) (seqs []int64, err error) {
			err = sqlitefile.Query(conn, query, func(row *sqlite.Stmt) { seqs = append(seqs, row.ColumnInt64(0)) }, append(args, from, before, n)...)
			return seqs, err
		}
	}
	switch {
	case f.Recipient != "":
		return []runList{runsTo(conn, f.Recipient), chunkedRunsTo(conn, f.Recipient)}, nil
	case f.Unknown:
		return []runList{selected(listUnknown)}, nil
	case f.Flow == "" && f.Status == "":
		return []runList{selected(listAll)}, nil
	}
	plans, err := planNumbers(conn, f.Flow)
	if err != nil {
		return nil, err
	}
	statuses, err := statusCodes(conn, f.Status)
	if err != nil {
		return nil, err
	}
	lists := []runList{openRuns(conn, plans, statuses)}
	for _, plan := range plans {
		for _, status := range statuses {
			lists = append(lists, selected(listEnded, status, plan))
		}
	}
	return lists, nil
}

const (
	listAll     = "SELECT seq FROM runs WHERE seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?"
	listUnknown = "SELECT DISTINCT run FROM unknowns WHERE run >= ? AND run < ? ORDER BY run DESC LIMIT ?"
	listOpen    = "SELECT run, plan, status FROM open WHERE run >= ? AND run < ? ORDER BY run DESC"
)

// openRuns lists the open runs of some plans and statuses.
func openRuns(conn *sqlite.Conn, plans, statuses []int64) runList {
	chosen := map[int64]bool{}
	for _, plan := range plans {
		chosen[plan] = true
	}
	return func(from, before int64, n int) (seqs []int64, err error) {
		err = sqlitefile.QueryUntil(conn, listOpen, func(row *sqlite.Stmt) bool {
			if chosen[row.ColumnInt64(1)] && slices.Contains(statuses, row.ColumnInt64(2)) {
				seqs = append(seqs, row.ColumnInt64(0))
			}
			return len(seqs) < n
		}, from, before)
		return seqs, err
	}
}

// merge calls visit with the numbers of all lists, each number once, the largest first, as
// long as visit wants more.
func merge(lists []runList, from, before int64, visit func(seq int64) (more bool, err error)) error {
	var cursors cursorHeap
	for _, l := range lists {
		c := &cursor{list: l, from: from, before: before, batch: 8}
		if more, err := c.fetch(); err != nil {
			return err
		} else if more {
			cursors = append(cursors, c)
		}
	}
	heap.Init(&cursors)
	last := int64(0) // no run has this number
	for len(cursors) > 0 {
		c := cursors[0]
		if seq := c.buffered[0]; seq != last {
			if more, err := visit(seq); err != nil || !more {
				return err
			}
			last = seq
		}
		c.buffered = c.buffered[1:]
		if len(c.buffered) == 0 {
			if more, err := c.fetch(); err != nil {
				return err
			} else if !more {
				heap.Pop(&cursors)
				continue
			}
		}
		heap.Fix(&cursors, 0)
	}
	return nil
}

// A cursor reads a list batch by batch.
type cursor struct {
	list         runList
	from, before int64 // of what was not fetched
	batch        int   // size of the next one
	buffered     []int64
}

// fetch reads the next batch, and reports whether it has any number.
func (c *cursor) fetch() (bool, error) {
	var err error
	if c.buffered, err = c.list(c.from, c.before, c.batch); err != nil || len(c.buffered) == 0 {
		return false, err
	}
	c.before = c.buffered[len(c.buffered)-1]
	c.batch = min(2*c.batch, 1024)
	return true, nil
}

// A cursorHeap implements heap.Interface, the largest number on top.
type cursorHeap []*cursor

func (h cursorHeap) Len() int           { return len(h) }
func (h cursorHeap) Less(i, k int) bool { return h[i].buffered[0] > h[k].buffered[0] }
func (h cursorHeap) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *cursorHeap) Push(x any)        { *h = append(*h, x.(*cursor)) }
func (h *cursorHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// minuteOf returns the minute of a time, since 1970.
func minuteOf(t time.Time) int64 { return encodeTime(t) / int64(time.Minute) }
