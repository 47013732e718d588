package journal

import (
	"cmp"
	"encoding/binary"
	"slices"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A mailing is a row that says whom new runs wrote to that were folded together. In one
// piece that costs SQLite much less than in a row each, at places all over a table. Where
// few were folded each has its row in recipients, so that the mailings stay few, too: who
// looks for a recipient looks into each.

const (
	perMailing   = 1 << 10 // runs, at most
	leastMailing = 1 << 4

	listMailings = "SELECT run, recipients FROM mailings WHERE run < ? ORDER BY run DESC"
)

// insertMailings notes whom many new runs wrote to, and leaves the others. The runs come in
// the order of their numbers, which are larger than those in the tables.
func (s *store) insertMailings(conn *sqlite.Conn, runs []*draft) error {
	for many := range slices.Chunk(runs, perMailing) {
		if len(many) < leastMailing {
			break
		}
		s.room = s.room[:0]
		last := many[0].seq
		for _, d := range many {
			for _, hash := range d.recipients {
				s.room = appendRecipient(s.room, d.seq-last, uint64(hash))
				last = d.seq
			}
			d.recipients = nil
		}
		if len(s.room) == 0 {
			continue
		}
		if err := s.mailings.row(conn, many[0].seq, s.room); err != nil {
			return err
		}
	}
	return nil
}

// eachIn calls each for the recipients of a mailing, in the order of their runs.
func eachIn(number int64, mailing []byte, each func(run int64, hash uint64)) error {
	in := decoder{rest: mailing}
	for run := number; len(in.rest) > 0; {
		run += in.unsigned()
		hash := in.fixed()
		if in.bad {
			return errForm
		}
		each(run, hash)
	}
	return nil
}

// appendRecipient adds the hash of a recipient to a mailing, after how far its run is behind
// the one before.
func appendRecipient(mailing []byte, behind int64, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.AppendUvarint(mailing, uint64(behind)), hash)
}

// mailedTo lists the runs of mailings that wrote to a recipient.
func mailedTo(conn *sqlite.Conn, recipient string) list {
	sum := uint64(hash(recipient))
	var room []byte
	return func(from, before int64, n int) (seqs []int64, err error) {
		var bad error
		err = sqlitefile.Each(conn, listMailings, func(row *sqlite.Stmt) bool {
			number, sooner := row.ColumnInt64(0), len(seqs)
			room = slices.Grow(room[:0], row.ColumnLen(1))
			bad = eachIn(number, room[:row.ColumnBytes(1, room[:cap(room)])], func(run int64, hash uint64) {
				if hash == sum && run >= from && run < before {
					seqs = append(seqs, run)
				}
			})
			slices.Reverse(seqs[sooner:])
			return bad == nil && len(seqs) < n && number > from
		}, before)
		return seqs[:min(n, len(seqs))], cmp.Or(err, bad)
	}
}

// cutMailings takes runs out of their mailings.
func cutMailings(conn *sqlite.Conn, runs map[int64]bool) error {
	return cut(conn, "mailings", "recipients", runs, func(number int64, mailing []byte) (left []byte, err error) {
		last := number
		err = eachIn(number, mailing, func(run int64, hash uint64) {
			if !runs[run] {
				left = appendRecipient(left, run-last, hash)
				last = run
			}
		})
		return left, err
	})
}
