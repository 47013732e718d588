package journal

import (
	"crypto/sha256"
	"encoding/binary"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const (
	perBlock = 1 << 12 // runs whose recipients lie together
	hashBits = 1 << 28 // of a recipient, in the order of those
	mostRuns = 1 << 35 // there can be, by these numbers

	listBlock     = "SELECT max(key) FROM recipients WHERE key < ?"
	listRecipient = "SELECT key FROM recipients WHERE key >= ? AND key < ? AND hash = ? ORDER BY key DESC"
)

// recipientKey is where it is noted that a run wrote to the recipient of a hash: by block of
// runs, so that what is noted at a time lies together, then by some bits of the hash, then
// by run.
func recipientKey(seq, sum int64) int64 {
	return (seq/perBlock*hashBits+sum&(hashBits-1))*perBlock + seq%perBlock
}

func blockOf(key int64) int64 { return key / (hashBits * perBlock) }

// writtenTo lists the runs that wrote to a recipient, block by block.
func writtenTo(conn *sqlite.Conn, recipient string) list {
	sum := hash(recipient)
	return func(from, before int64, n int) (seqs []int64, err error) {
		before = min(before, mostRuns-perBlock)
		for block := (before - 1) / perBlock; block >= from/perBlock && len(seqs) < n; block-- {
			err := sqlitefile.Query(conn, listBlock, func(row *sqlite.Stmt) {
				block = -1 // there is none
				if !row.ColumnIsNull(0) {
					block = blockOf(row.ColumnInt64(0))
				}
			}, recipientKey((block+1)*perBlock, 0))
			if err != nil || block < 0 {
				return seqs, err
			}
			first := recipientKey(block*perBlock, sum)
			err = sqlitefile.Query(conn, listRecipient, func(row *sqlite.Stmt) {
				if seq := block*perBlock + row.ColumnInt64(0) - first; seq >= from && seq < before {
					seqs = append(seqs, seq)
				}
			}, first, first+perBlock, sum)
			if err != nil {
				return seqs, err
			}
		}
		return seqs, nil
	}
}

// hash stands for a text, or several, in an index.
func hash(parts ...string) int64 {
	var room [128]byte
	b := room[:0]
	for _, part := range parts {
		b = append(append(b, part...), 0)
	}
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:]))
}
