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
	maxPending = 1 << 20                // bytes; when more are pending the next transaction flushes, at twice as much this one
	flushDelay = 200 * time.Millisecond // after the first change; a new run may wait twice as long

	retainNone = math.MaxInt64 // as the row of flush
)

// flush writes the pending runs to the tables, and empties the log. New runs whose entries
// are all in rows of the log after the given one may be retained, from the first that has not
// ended on: most of them will have ended by the next flush, and are then written once, and
// in the order of their numbers, which costs the tables least.
func (s *store) flush(conn *sqlite.Conn, row int64) error {
	var created, changed, retained []*pendingRun
	first := s.firstRetained(row)
	for i, p := range s.pendingOrder {
		switch {
		case !p.created:
			changed = append(changed, p)
		case i >= first:
			retained = append(retained, p)
		default:
			created = append(created, p)
		}
	}
	if len(retained) > 0 && len(retained) == len(s.pendingOrder) {
		return nil
	}
	if err := s.insertRuns(conn, created); err != nil {
		return err
	}
	for _, p := range changed {
		if err := s.updateRun(conn, p); err != nil {
			return err
		}
	}
	flushed := slices.Concat(created, changed)
	slices.SortFunc(flushed, func(a, b *pendingRun) int { return cmp.Compare(a.seq, b.seq) }) // as the tables are
	if err := s.insertRecords(conn, flushed); err != nil {
		return err
	}
	if err := s.insertRecipients(conn, flushed); err != nil {
		return err
	}
	for _, p := range flushed {
		if err := updateUnknowns(conn, p.seq, p.unknowns); err != nil {
			return err
		}
	}
	return s.rewriteLog(conn, retained)
}

// firstRetained returns the index in pendingOrder of the first new run that has not ended,
// among those after a row of the log. It retains little, as that is written to the log again.
func (s *store) firstRetained(row int64) int {
	first, size := len(s.pendingOrder), 0
	for i, p := range slices.Backward(s.pendingOrder) {
		if size += p.size(); p.firstRow <= row || size > maxPending/2 {
			break
		}
		if p.created && p.ended == notEnded {
			first = i
		}
	}
	return first
}

// flushIfLarge returns the flush that a transaction is to begin with, nil while little is
// pending. At that moment nobody waits for a result: the callers of the transaction before
// have just got theirs.
func (s *store) flushIfLarge() func(*sqlite.Conn) error {
	if s.pendingBytes <= maxPending {
		return nil
	}
	return s.flushEnded
}

// flushEnded flushes, and retains what it may.
func (s *store) flushEnded(conn *sqlite.Conn) error { return s.flush(conn, 0) }

// flushRun brings all that is pending into the tables if something is of that run.
func (s *store) flushRun(conn *sqlite.Conn, run string) error {
	if s.pendingByID[run] == nil {
		return nil
	}
	return s.flush(conn, retainNone)
}

// flushAll brings all that is pending into the tables.
func (s *store) flushAll(conn *sqlite.Conn) error { return s.flush(conn, retainNone) }

// flushOld is the scheduled flush. It retains nothing older than the scheduled flush before.
func (s *store) flushOld(conn *sqlite.Conn) error {
	row := s.flushedRow
	s.flushedRow, s.scheduled = s.lastRow, false
	err := s.flush(conn, row)
	if len(s.pendingOrder) > 0 {
		s.scheduleFlush()
	}
	return err
}

// scheduleFlush has flushOld called, unless it is going to be.
func (s *store) scheduleFlush() {
	if s.startTimer != nil && !s.scheduled {
		s.scheduled = true
		s.startTimer()
	}
}

// rewriteLog empties the log, and writes the entries of the retained runs again. Their row
// gets the number of the first that had one of them, so that a Reader which waits for rows
// up to a number to go sees these as still there.
func (s *store) rewriteLog(conn *sqlite.Conn, retained []*pendingRun) error {
	if s.logHasRows {
		if err := sqlitefile.Query(conn, "DELETE FROM log", nil); err != nil {
			return err
		}
	}
	clear(s.pending)
	clear(s.pendingByID)
	clear(s.pendingOrder)
	clear(s.unlogged)
	s.pendingOrder, s.unlogged, s.pendingBytes, s.logHasRows = s.pendingOrder[:0], s.unlogged[:0], 0, false
	if len(retained) == 0 {
		return nil
	}
	first := retained[0].firstRow
	for _, p := range retained {
		s.pending[p.seq], s.pendingByID[p.id] = p, p
		s.pendingOrder = append(s.pendingOrder, p)
		s.unlogged = append(s.unlogged, p.entries...)
		s.pendingBytes += p.size()
		first = min(first, p.firstRow)
	}
	return s.writeLogRow(conn, first)
}

// insertRuns inserts runs that are not in the tables, in the order of their numbers.
func (s *store) insertRuns(conn *sqlite.Conn, runs []*pendingRun) error {
	err := s.runs.Rows(conn, len(runs), func(q *sqlite.Stmt, at, row int) {
		p := runs[row]
		q.BindInt64(at+1, p.seq)
		q.BindText(at+2, p.id)
		q.BindInt64(at+3, p.plan)
		q.BindInt64(at+4, p.version)
		q.BindInt64(at+5, p.status)
		q.BindInt64(at+6, p.started)
		q.BindInt64(at+7, p.ended)
		bindText(q, at+8, p.by)
		bindText(q, at+9, p.lock)
		q.BindBytes(at+10, p.inputs)
	}, nil)
	if err != nil {
		return err
	}
	var open []*pendingRun
	for _, p := range runs {
		s.gap.add(p.id)
		if p.ended == notEnded {
			open = append(open, p)
		}
	}
	if err := s.insertEndedRanges(conn, runs); err != nil {
		return err
	}
	if err := s.insertRecordChunks(conn, runs); err != nil {
		return err
	}
	if err := s.insertRecipientChunks(conn, runs); err != nil {
		return err
	}
	return s.openRuns.Rows(conn, len(open), func(q *sqlite.Stmt, at, row int) {
		p := open[row]
		q.BindInt64(at+1, p.seq)
		q.BindInt64(at+2, p.plan)
		q.BindInt64(at+3, p.status)
		bindWaits(q, at+4, p.waits)
	}, nil)
}

// bindText binds a text. An empty one is bound as an empty blob, which reads the same:
// BindText would allocate for it.
func bindText(q *sqlite.Stmt, param int, s string) {
	if s == "" {
		q.BindBytes(param, nil)
		return
	}
	q.BindText(param, s)
}

// insertRecords inserts the records that insertRecordChunks left.
func (s *store) insertRecords(conn *sqlite.Conn, flushed []*pendingRun) error {
	var runs []int64
	var records []Record
	for _, p := range flushed {
		for _, b := range p.records {
			more, err := decodeRecords(b)
			if err != nil {
				return err
			}
			records = append(records, more...)
			runs = append(runs, slices.Repeat([]int64{p.seq}, len(more))...)
		}
	}
	return s.records.Rows(conn, len(records), func(q *sqlite.Stmt, at, row int) {
		r := records[row]
		q.BindInt64(at+1, runs[row])
		q.BindInt64(at+2, encodeTime(r.At))
		q.BindText(at+3, r.Kind)
		q.BindBytes(at+4, r.Body)
	}, nil)
}

// insertRecipients inserts the recipients that insertRecipientChunks left.
func (s *store) insertRecipients(conn *sqlite.Conn, flushed []*pendingRun) error {
	type row struct{ key, hash int64 }
	var rows []row
	for _, p := range flushed {
		for _, hash := range p.recipients {
			rows = append(rows, row{recipientKey(p.seq, hash), hash})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	return s.recipients.Rows(conn, len(rows), func(q *sqlite.Stmt, at, row int) {
		q.BindInt64(at+1, rows[row].key)
		q.BindInt64(at+2, rows[row].hash)
	}, nil)
}
