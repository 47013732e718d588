package journal

import (
	"crypto/sha256"
	"encoding/binary"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const (
	perBlock = 1 << 12 // consecutive runs whose recipients are stored together
	hashBits = 1 << 28 // the part of a recipient's hash in a key
	maxRuns  = 1 << 35 // what is left for the number of a run in a key

	selectLastBlock     = "SELECT max(key) FROM recipients WHERE key < ?"
	selectRecipientKeys = "SELECT key FROM recipients WHERE key >= ? AND key < ? AND hash = ? ORDER BY key DESC"
)

// recipientKey returns the key of a row in recipients. It orders them by block of runs, so
// that what is inserted at a time lies together, then by some bits of the hash, then by run.
func recipientKey(seq, sum int64) int64 {
	return (seq/perBlock*hashBits+sum&(hashBits-1))*perBlock + seq%perBlock
}

func blockOf(key int64) int64 { return key / (hashBits * perBlock) }

// runsTo lists the runs to a recipient that are in the table recipients, block by block.
func runsTo(conn *sqlite.Conn, recipient string) runList {
	sum := hash(recipient)
	return func(from, before int64, n int) (seqs []int64, err error) {
		before = min(before, maxRuns-perBlock)
		for block := (before - 1) / perBlock; block >= from/perBlock && len(seqs) < n; block-- {
			err := sqlitefile.Query(conn, selectLastBlock, func(row *sqlite.Stmt) {
				block = -1 // there is none
				if !row.ColumnIsNull(0) {
					block = blockOf(row.ColumnInt64(0))
				}
			}, recipientKey((block+1)*perBlock, 0))
			if err != nil || block < 0 {
				return seqs, err
			}
			first := recipientKey(block*perBlock, sum)
			err = sqlitefile.Query(conn, selectRecipientKeys, func(row *sqlite.Stmt) {
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

// hash returns a hash of one or more texts, for an index.
func hash(parts ...string) int64 {
	var buf [128]byte
	b := buf[:0]
	for _, part := range parts {
		b = append(append(b, part...), 0)
	}
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:]))
}
