package journal

import (
	"cmp"
	"math"
	"slices"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const (
	maxDrafts = 1 << 20                // bytes; more are folded, twice as much at once
	foldAfter = 200 * time.Millisecond // so long after the first one they are folded, twice as long at most

	none = math.MaxInt64 // of the drafts may stay
)

// fold brings the drafts into the tables. Of those that came to the log behind a row, the
// last ones of new runs may stay there, from the first one on that has not ended: most will
// have ended the next time, and are written once, and in the order of their numbers, which
// costs the tables least.
func (s *store) fold(conn *sqlite.Conn, behind int64) error {
	var runs, others, stay []*draft
	stays := s.firstOpen(behind)
	for i, d := range s.order {
		switch {
		case !d.created:
			others = append(others, d)
		case i >= stays:
			stay = append(stay, d)
		default:
			runs = append(runs, d)
		}
	}
	if len(stay) > 0 && len(stay) == len(s.order) {
		return nil
	}
	if err := s.insertRuns(conn, runs); err != nil {
		return err
	}
	for _, d := range others {
		if err := s.updateRun(conn, d); err != nil {
			return err
		}
	}
	folded := slices.Concat(runs, others)
	slices.SortFunc(folded, func(a, b *draft) int { return cmp.Compare(a.seq, b.seq) }) // as the tables are
	if err := s.insertRecords(conn, folded); err != nil {
		return err
	}
	if err := s.insertRecipients(conn, folded); err != nil {
		return err
	}
	for _, d := range folded {
		if err := count(conn, d.seq, d.doubts); err != nil {
			return err
		}
	}
	return s.keep(conn, stay)
}

// firstOpen is where in their order the first draft is of a new run that has not ended,
// among those that came behind a row of the log. Much does not stay: the log is written anew.
func (s *store) firstOpen(behind int64) int {
	first, size := len(s.order), 0
	for i, d := range slices.Backward(s.order) {
		if size += d.size(); d.row <= behind || size > maxDrafts/2 {
			break
		}
		if d.created && d.ended == never {
			first = i
		}
	}
	return first
}

// next begins a transaction with a fold where there is much to be folded. Those who were
// just told of the last one work meanwhile.
func (s *store) next() func(*sqlite.Conn) error {
	if s.size <= maxDrafts {
		return nil
	}
	return s.foldEnded
}

// foldEnded is the fold of most.
func (s *store) foldEnded(conn *sqlite.Conn) error { return s.fold(conn, 0) }

// foldRun brings what is known of a run into the tables.
func (s *store) foldRun(conn *sqlite.Conn, run string) error {
	if s.ids[run] == nil {
		return nil
	}
	return s.fold(conn, none)
}

// foldAll brings all into the tables.
func (s *store) foldAll(conn *sqlite.Conn) error { return s.fold(conn, none) }

// foldLate is the fold that was to come later. What is younger than the last one may stay.
func (s *store) foldLate(conn *sqlite.Conn) error {
	behind := s.lately
	s.lately, s.awaited = s.row, false
	err := s.fold(conn, behind)
	if len(s.order) > 0 {
		s.await()
	}
	return err
}

// await has foldLate called once more.
func (s *store) await() {
	if s.later != nil && !s.awaited {
		s.awaited = true
		s.later()
	}
}

// keep empties the log, but for some drafts. They keep their place, so that who waits for
// what is in a row sees when it is not there any more.
func (s *store) keep(conn *sqlite.Conn, drafts []*draft) error {
	if s.logged {
		if err := sqlitefile.Query(conn, "DELETE FROM log", nil); err != nil {
			return err
		}
	}
	clear(s.drafts)
	clear(s.ids)
	clear(s.order)
	clear(s.batch)
	s.order, s.batch, s.size, s.logged = s.order[:0], s.batch[:0], 0, false
	if len(drafts) == 0 {
		return nil
	}
	first := drafts[0].row
	for _, d := range drafts {
		s.drafts[d.seq], s.ids[d.id] = d, d
		s.order = append(s.order, d)
		s.batch = append(s.batch, d.entries...)
		s.size += d.size()
		first = min(first, d.row)
	}
	return s.log(conn, first)
}

// insertRuns inserts runs that are not in the tables, in the order of their numbers.
func (s *store) insertRuns(conn *sqlite.Conn, runs []*draft) error {
	err := s.runs.Rows(conn, len(runs), func(q *sqlite.Stmt, at, row int) {
		d := runs[row]
		q.BindInt64(at+1, d.seq)
		q.BindText(at+2, d.id)
		q.BindInt64(at+3, d.plan)
		q.BindInt64(at+4, d.version)
		q.BindInt64(at+5, d.status)
		q.BindInt64(at+6, d.started)
		q.BindInt64(at+7, d.ended)
		bindText(q, at+8, d.by)
		bindText(q, at+9, d.lock)
		q.BindBytes(at+10, d.inputs)
	}, nil)
	if err != nil {
		return err
	}
	var open []*draft
	for _, d := range runs {
		s.gap.add(d.id)
		if d.ended == never {
			open = append(open, d)
		}
	}
	if err := s.insertEndings(conn, runs); err != nil {
		return err
	}
	if err := s.insertSheaves(conn, runs); err != nil {
		return err
	}
	if err := s.insertMailings(conn, runs); err != nil {
		return err
	}
	return s.opened.Rows(conn, len(open), func(q *sqlite.Stmt, at, row int) {
		d := open[row]
		q.BindInt64(at+1, d.seq)
		q.BindInt64(at+2, d.plan)
		q.BindInt64(at+3, d.status)
		bindWaits(q, at+4, d.waits)
	}, nil)
}

// bindText binds a text. For an empty one that would take memory: it goes as no bytes, which
// read the same.
func bindText(q *sqlite.Stmt, param int, s string) {
	if s == "" {
		q.BindBytes(param, nil)
		return
	}
	q.BindText(param, s)
}

// insertRecords inserts the records that do not lie in a sheaf.
func (s *store) insertRecords(conn *sqlite.Conn, drafts []*draft) error {
	var runs []int64
	var records []Record
	for _, d := range drafts {
		for _, b := range d.records {
			more, err := decodeRecords(b)
			if err != nil {
				return err
			}
			records = append(records, more...)
			runs = append(runs, slices.Repeat([]int64{d.seq}, len(more))...)
		}
	}
	return s.records.Rows(conn, len(records), func(q *sqlite.Stmt, at, row int) {
		r := records[row]
		q.BindInt64(at+1, runs[row])
		q.BindInt64(at+2, stamp(r.At))
		q.BindText(at+3, r.Kind)
		q.BindBytes(at+4, r.Body)
	}, nil)
}

// insertRecipients notes whom the runs wrote to that are in no mailing.
func (s *store) insertRecipients(conn *sqlite.Conn, drafts []*draft) error {
	type place struct{ key, hash int64 }
	var places []place
	for _, d := range drafts {
		for _, hash := range d.recipients {
			places = append(places, place{recipientKey(d.seq, hash), hash})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.key, b.key) })
	return s.recipients.Rows(conn, len(places), func(q *sqlite.Stmt, at, row int) {
		q.BindInt64(at+1, places[row].key)
		q.BindInt64(at+2, places[row].hash)
	}, nil)
}
