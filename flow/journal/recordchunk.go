package journal

import (
	"encoding/binary"
	"slices"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A record chunk, a row of the table sheaves, has the first records of consecutive runs:
// most of what is stored at all. For each run it has the run's number, the length of its
// records, and the records. Pruning a run cuts it out.

const (
	runsPerRecordChunk = 32
	maxChunkedRecords  = 2048 // bytes of one run's records

	selectRecordChunk = "SELECT records FROM sheaves WHERE run <= ? ORDER BY run DESC LIMIT 1"
)

// insertRecordChunks inserts the first records of new runs, and leaves the others in
// pendingRun.records. The runs come in the order of their numbers, which are larger than
// those in the tables.
func (s *store) insertRecordChunks(conn *sqlite.Conn, runs []*pendingRun) error {
	for part := range slices.Chunk(runs, runsPerRecordChunk) {
		s.buf = s.buf[:0]
		for _, p := range part {
			s.buf = p.appendFirstRecords(s.buf)
		}
		if len(s.buf) == 0 {
			continue
		}
		if err := s.recordChunks.row(conn, part[0].seq, s.buf); err != nil {
			return err
		}
	}
	return nil
}

// appendFirstRecords moves the first records of a new run to a chunk.
func (p *pendingRun) appendFirstRecords(chunk []byte) []byte {
	n, size := 0, 0
	for n < len(p.records) && size+len(p.records[n]) <= maxChunkedRecords {
		size += len(p.records[n])
		n++
	}
	if n == 0 {
		return chunk
	}
	chunk = binary.AppendVarint(chunk, p.seq)
	chunk = binary.AppendUvarint(chunk, uint64(size))
	for _, records := range p.records[:n] {
		chunk = append(chunk, records...)
	}
	p.records = p.records[n:]
	return chunk
}

// eachRunInChunk calls each for the runs of a record chunk; part is all that the chunk has of
// the run, and records the records in it.
func eachRunInChunk(chunk []byte, each func(run int64, part, records []byte)) error {
	in := decoder{rest: chunk}
	for len(in.rest) > 0 {
		part := in.rest
		run, records := in.varint(), in.bytes()
		if in.invalid {
			return errUnknownForm
		}
		each(run, part[:len(part)-len(in.rest)], records)
	}
	return nil
}

// firstRecords returns the first records of a run: those in its chunk or, of a run stored
// with schema 3 or older, in runs.first.
func firstRecords(conn *sqlite.Conn, seq int64) (records []Record, err error) {
	var first []byte
	err = sqlitefile.Query(conn, "SELECT first FROM runs WHERE seq = ?", func(row *sqlite.Stmt) { first = sqlitefile.Blob(row, 0) }, seq)
	if err == nil && len(first) == 0 {
		var chunk []byte
		err = sqlitefile.Query(conn, selectRecordChunk, func(row *sqlite.Stmt) { chunk = sqlitefile.Blob(row, 0) }, seq)
		if err == nil {
			err = eachRunInChunk(chunk, func(run int64, _, records []byte) {
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

// cutRecordChunks removes runs from the record chunks.
func cutRecordChunks(conn *sqlite.Conn, runs map[int64]bool) error {
	return cutChunks(conn, "sheaves", "records", runs, func(_ int64, chunk []byte) (left []byte, err error) {
		err = eachRunInChunk(chunk, func(run int64, part, _ []byte) {
			if !runs[run] {
				left = append(left, part...)
			}
		})
		return left, err
	})
}
