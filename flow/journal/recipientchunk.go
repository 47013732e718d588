package journal

import (
	"cmp"
	"encoding/binary"
	"slices"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A recipient chunk, a row of the table mailings, has the hashes of the recipients of many
// new runs that were flushed together: rows of the table recipients would be all over it. If
// few runs were flushed their recipients go to that table, so that there are few chunks:
// looking for a recipient reads each of them.

const (
	maxRecipientChunk = 1 << 10 // runs
	minRecipientChunk = 1 << 4

	listRecipientChunks = "SELECT run, recipients FROM mailings WHERE run < ? ORDER BY run DESC"
)

// insertRecipientChunks inserts the recipients of new runs, if those are many, and leaves the
// others in pendingRun.recipients. The runs come in the order of their numbers, which are
// larger than those in the tables.
func (s *store) insertRecipientChunks(conn *sqlite.Conn, runs []*pendingRun) error {
	for part := range slices.Chunk(runs, maxRecipientChunk) {
		if len(part) < minRecipientChunk {
			break
		}
		s.buf = s.buf[:0]
		last := part[0].seq
		for _, p := range part {
			for _, hash := range p.recipients {
				s.buf = appendRecipient(s.buf, p.seq-last, uint64(hash))
				last = p.seq
			}
			p.recipients = nil
		}
		if len(s.buf) == 0 {
			continue
		}
		if err := s.recipientChunks.row(conn, part[0].seq, s.buf); err != nil {
			return err
		}
	}
	return nil
}

// eachRecipientInChunk calls each for the recipients in a chunk, in the order of their runs;
// number is the chunk's.
func eachRecipientInChunk(number int64, chunk []byte, each func(run int64, hash uint64)) error {
	in := decoder{rest: chunk}
	for run := number; len(in.rest) > 0; {
		run += in.uvarint()
		hash := in.uint64()
		if in.invalid {
			return errUnknownForm
		}
		each(run, hash)
	}
	return nil
}

// appendRecipient appends the hash of a recipient to a chunk; delta is the difference between
// the numbers of its run and of the run before it in the chunk.
func appendRecipient(chunk []byte, delta int64, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.AppendUvarint(chunk, uint64(delta)), hash)
}

// chunkedRunsTo lists the runs to a recipient that are in recipient chunks.
func chunkedRunsTo(conn *sqlite.Conn, recipient string) runList {
	sum := uint64(hash(recipient))
	var buf []byte
	return func(from, before int64, n int) (seqs []int64, err error) {
		var chunkErr error
		err = sqlitefile.QueryUntil(conn, listRecipientChunks, func(row *sqlite.Stmt) bool {
			number, first := row.ColumnInt64(0), len(seqs)
			buf = slices.Grow(buf[:0], row.ColumnLen(1))
			chunkErr = eachRecipientInChunk(number, buf[:row.ColumnBytes(1, buf[:cap(buf)])], func(run int64, hash uint64) {
				if hash == sum && run >= from && run < before {
					seqs = append(seqs, run)
				}
			})
			slices.Reverse(seqs[first:])
			return chunkErr == nil && len(seqs) < n && number > from
		}, before)
		return seqs[:min(n, len(seqs))], cmp.Or(err, chunkErr)
	}
}

// cutRecipientChunks removes runs from the recipient chunks.
func cutRecipientChunks(conn *sqlite.Conn, runs map[int64]bool) error {
	return cutChunks(conn, "mailings", "recipients", runs, func(number int64, chunk []byte) (left []byte, err error) {
		last := number
		err = eachRecipientInChunk(number, chunk, func(run int64, hash uint64) {
			if !runs[run] {
				left = appendRecipient(left, run-last, hash)
				last = run
			}
		})
		return left, err
	})
}
