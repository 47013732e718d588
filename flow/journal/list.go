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

// List is as in Journal. What it reads grows with the runs that it returns, with the plans
// of the flow, and with the runs that are open; not with those that are stored, but for some
// bytes of each, in a row with many others, where it looks for a recipient.
func (r reads) List(ctx context.Context, f Filter) (runs []Run, err error) {
	err = r.file(ctx, func(conn *sqlite.Conn) error {
		from, before, err := bounds(conn, f)
		if err != nil {
			return err
		}
		lists, err := candidates(conn, f)
		if err != nil {
			return err
		}
		h := heads{conn: conn, sources: true}
		return merge(lists, from, before, func(seq int64) (more bool, err error) {
			if len(runs) == f.limit() {
				return false, nil
			}
			run, found, err := h.one(headBySeq, seq)
			if err == nil && found && f.matches(run) {
				runs = append(runs, run)
			}
			return true, err
		})
	})
	return runs, err
}

// bounds returns between which numbers are the runs that a filter selects. Times lead
// there through the stretches of runs that started in one minute: the clock may go back.
func bounds(conn *sqlite.Conn, f Filter) (from, before int64, err error) {
	from, before = 0, int64(math.MaxInt64)
	if f.Before > 0 {
		before = f.Before
	}
	if f.Since.IsZero() && f.Until.IsZero() {
		return from, before, nil
	}
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		least = minuteOf(f.Since)
	}
	if !f.Until.IsZero() {
		most = minuteOf(f.Until)
	}
	first, end, err := numbersOf(conn, least, most)
	return first, min(before, end), err
}

// numbersOf returns the number of the first run that started in those minutes, and the
// number of the run after the last one; both are 0 if there is none.
func numbersOf(conn *sqlite.Conn, least, most int64) (first, end int64, err error) {
	last := int64(0)
	err = sqlitefile.Query(conn, "SELECT min(run), max(run) FROM stretches WHERE minute BETWEEN ? AND ?", func(row *sqlite.Stmt) {
		first, last = row.ColumnInt64(0), row.ColumnInt64(1)
	}, least, most)
	if err != nil || first == 0 {
		return 0, 0, err
	}
	end = math.MaxInt64
	err = sqlitefile.Query(conn, "SELECT run FROM stretches WHERE run > ? ORDER BY run LIMIT 1", func(row *sqlite.Stmt) {
		end = row.ColumnInt64(0)
	}, last)
	return first, end, err
}

// A list returns up to n numbers of runs in [from, before), the largest first.
type list func(from, before int64, n int) ([]int64, error)

// candidates returns lists that among them have each run that the filter selects.
func candidates(conn *sqlite.Conn, f Filter) ([]list, error) {
	selected := func(query string, args ...any) list {
		return func(from, before int64, n int) (seqs []int64, err error) {
			err = sqlitefile.Query(conn, query, func(row *sqlite.Stmt) { seqs = append(seqs, row.ColumnInt64(0)) }, append(args, from, before, n)...)
			return seqs, err
		}
	}
	switch {
	case f.Recipient != "":
		return []list{writtenTo(conn, f.Recipient), mailedTo(conn, f.Recipient)}, nil
	case f.Unknown:
		return []list{selected(listUnknown)}, nil
	case f.Flow == "" && f.Status == "":
		return []list{selected(listAll)}, nil
	}
	plans, err := planNumbers(conn, f.Flow)
	if err != nil {
		return nil, err
	}
	statuses, err := statusCodes(conn, f.Status)
	if err != nil {
		return nil, err
	}
	lists := []list{unfinished(conn, plans, statuses)}
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

// unfinished lists open runs.
func unfinished(conn *sqlite.Conn, plans, statuses []int64) list {
	chosen := map[int64]bool{}
	for _, plan := range plans {
		chosen[plan] = true
	}
	return func(from, before int64, n int) (seqs []int64, err error) {
		err = sqlitefile.Each(conn, listOpen, func(row *sqlite.Stmt) bool {
			if chosen[row.ColumnInt64(1)] && slices.Contains(statuses, row.ColumnInt64(2)) {
				seqs = append(seqs, row.ColumnInt64(0))
			}
			return len(seqs) < n
		}, from, before)
		return seqs, err
	}
}

// merge calls see with the numbers of all lists, each once, the largest first, while it wants
// more.
func merge(lists []list, from, before int64, see func(seq int64) (more bool, err error)) error {
	var streams streams
	for _, l := range lists {
		s := &stream{list: l, from: from, before: before, ask: 8}
		if more, err := s.fill(); err != nil {
			return err
		} else if more {
			streams = append(streams, s)
		}
	}
	heap.Init(&streams)
	last := int64(0) // none has this number
	for len(streams) > 0 {
		s := streams[0]
		if seq := s.ahead[0]; seq != last {
			if more, err := see(seq); err != nil || !more {
				return err
			}
			last = seq
		}
		s.ahead = s.ahead[1:]
		if len(s.ahead) == 0 {
			if more, err := s.fill(); err != nil {
				return err
			} else if !more {
				heap.Pop(&streams)
				continue
			}
		}
		heap.Fix(&streams, 0)
	}
	return nil
}

// A stream is a list of which a part was read.
type stream struct {
	list         list
	from, before int64
	ask          int // how many to read next
	ahead        []int64
}

// fill reads on, and tells whether there was more.
func (s *stream) fill() (bool, error) {
	var err error
	if s.ahead, err = s.list(s.from, s.before, s.ask); err != nil || len(s.ahead) == 0 {
		return false, err
	}
	s.before = s.ahead[len(s.ahead)-1]
	s.ask = min(2*s.ask, 1024)
	return true, nil
}

// streams are a heap, the largest number on top.
type streams []*stream

func (s streams) Len() int           { return len(s) }
func (s streams) Less(i, k int) bool { return s[i].ahead[0] > s[k].ahead[0] }
func (s streams) Swap(i, k int)      { s[i], s[k] = s[k], s[i] }
func (s *streams) Push(x any)        { *s = append(*s, x.(*stream)) }
func (s *streams) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// minuteOf returns the minute that a time falls in.
func minuteOf(t time.Time) int64 { return stamp(t) / int64(time.Minute) }
