package journal

import (
	"encoding/binary"
	"slices"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A sheaf is a row with the first records of runs that follow one another. They are most of
// what is stored, and in one piece they cost SQLite much less than in a row each. A sheaf
// has the number of its first run, and of each run its number, how long its records are, and
// them; a run that is forgotten is cut out.

const (
	perSheaf = 32   // runs
	maxFirst = 2048 // bytes of records that lie in a sheaf, of one run

	selectSheaf = "SELECT run, records FROM sheaves WHERE run <= ? ORDER BY run DESC LIMIT 1"
)

// insertSheaves inserts the first records of new runs, and leaves the others. The runs come
// in the order of their numbers, which are larger than those in the tables.
func (s *store) insertSheaves(conn *sqlite.Conn, runs []*draft) error {
	for few := range slices.Chunk(runs, perSheaf) {
		s.room = s.room[:0]
		for _, d := range few {
			s.room = d.sheave(s.room)
		}
		if len(s.room) == 0 {
			continue
		}
		if err := s.sheaves.row(conn, few[0].seq, s.room); err != nil {
			return err
		}
	}
	return nil
}

// sheave adds the first records of a new run to a sheaf, and leaves the others.
func (d *draft) sheave(sheaf []byte) []byte {
	n, size := 0, 0
	for n < len(d.records) && size+len(d.records[n]) <= maxFirst {
		size += len(d.records[n])
		n++
	}
	if n == 0 {
		return sheaf
	}
	sheaf = binary.AppendVarint(sheaf, d.seq)
	sheaf = binary.AppendUvarint(sheaf, uint64(size))
	for _, records := range d.records[:n] {
		sheaf = append(sheaf, records...)
	}
	d.records = d.records[n:]
	return sheaf
}

// eachOf calls each for the runs of a sheaf, with all that it has of one, and the records in
// that.
func eachOf(sheaf []byte, each func(run int64, part, records []byte)) error {
	in := decoder{rest: sheaf}
	for len(in.rest) > 0 {
		part := in.rest
		run, records := in.signed(), in.bytes()
		if in.bad {
			return errForm
		}
		each(run, part[:len(part)-len(in.rest)], records)
	}
	return nil
}

// sheafOf returns the sheaf that a run is in, if it is in any, and its number.
func sheafOf(conn *sqlite.Conn, seq int64) (number int64, sheaf []byte, err error) {
	err = sqlitefile.Query(conn, selectSheaf, func(row *sqlite.Stmt) { number, sheaf = row.ColumnInt64(0), sqlitefile.Blob(row, 1) }, seq)
	return number, sheaf, err
}

// firstRecords returns the first records of a run: those in a sheaf, or, of one that an
// older facteur stored, beside its head.
func firstRecords(conn *sqlite.Conn, seq int64) (records []Record, err error) {
	var first []byte
	err = sqlitefile.Query(conn, "SELECT first FROM runs WHERE seq = ?", func(row *sqlite.Stmt) { first = sqlitefile.Blob(row, 0) }, seq)
	if err == nil && len(first) == 0 {
		var sheaf []byte
		if _, sheaf, err = sheafOf(conn, seq); err == nil {
			err = eachOf(sheaf, func(run int64, _, records []byte) {
				if run == seq {
					first = records
				}
			})
		}
	}
	if err != nil {
		return nil, err
	}
	return decodeRecords(first)
}

// cutSheaves takes runs out of their sheaves.
func cutSheaves(conn *sqlite.Conn, runs map[int64]bool) error {
	return cut(conn, "sheaves", "records", runs, func(_ int64, sheaf []byte) (left []byte, err error) {
		err = eachOf(sheaf, func(run int64, part, _ []byte) {
			if !runs[run] {
				left = append(left, part...)
			}
		})
		return left, err
	})
}
