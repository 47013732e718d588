package journal

import (
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

	listMailings  = "SELECT run, recipients FROM mailings WHERE run < ? ORDER BY run DESC"
	selectMailing = "SELECT max(run) FROM mailings WHERE run <= ?"
	deleteMailing = `DELETE FROM mailings WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM runs
		WHERE seq >= ?1 AND seq < coalesce((SELECT min(run) FROM mailings WHERE run > ?1), 9223372036854775807))`
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
				s.room = binary.AppendUvarint(s.room, uint64(d.seq-last))
				s.room = binary.BigEndian.AppendUint64(s.room, uint64(hash))
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

// mailedTo lists the runs of mailings that wrote to a recipient.
func mailedTo(conn *sqlite.Conn, recipient string) list {
	sum := uint64(hash(recipient))
	var room []byte
	return func(from, before int64, n int) (seqs []int64, err error) {
		bad := false
		err = sqlitefile.Each(conn, listMailings, func(row *sqlite.Stmt) bool {
			room = slices.Grow(room[:0], row.ColumnLen(1))
			in := decoder{rest: room[:row.ColumnBytes(1, room[:cap(room)])]}
			first, sooner := row.ColumnInt64(0), len(seqs)
			for seq := first; len(in.rest) > 0; {
				seq += in.unsigned()
				if in.fixed() == sum && seq >= from && seq < before {
					seqs = append(seqs, seq)
				}
			}
			bad = bad || in.bad
			slices.Reverse(seqs[sooner:])
			return len(seqs) < n && first > from
		}, before)
		if err == nil && bad {
			err = errForm
		}
		return seqs[:min(n, len(seqs))], err
	}
}

// pruneMailings forgets those that some runs were in, and that all runs of are forgotten.
func pruneMailings(conn *sqlite.Conn, runs map[int64]bool) error {
	numbers := map[int64]bool{}
	for seq := range runs {
		err := sqlitefile.Query(conn, selectMailing, func(row *sqlite.Stmt) { numbers[row.ColumnInt64(0)] = true }, seq)
		if err != nil {
			return err
		}
	}
	for number := range numbers {
		if err := sqlitefile.Query(conn, deleteMailing, nil, number); err != nil {
			return err
		}
	}
	return nil
}
