package ledger

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A contactFilter is a Bloom filter of the known contacts: an id that is not in it is certainly
// unknown, except for what another process has stored since it was filled. Most recipients of a
// campaign are unknown, and looking them up in the file costs more than storing the send.
//
// With a million contacts, one unknown id in twenty is looked up nevertheless.
type contactFilter struct {
	fill  sync.Once
	ready atomic.Bool // all contacts of the file are in it
	seed  maphash.Seed
	bits  [1 << 17]atomic.Uint64
}

func newContactFilter() *contactFilter { return &contactFilter{seed: maphash.MakeSeed()} }

// add adds an id.
func (s *contactFilter) add(id string) {
	for _, at := range s.positions(id) {
		s.bits[at/64].Or(1 << (at % 64))
	}
}

// excludes reports whether an id is certainly unknown.
func (s *contactFilter) excludes(id string) bool {
	if !s.ready.Load() {
		return false
	}
	for _, at := range s.positions(id) {
		if s.bits[at/64].Load()&(1<<(at%64)) == 0 {
			return true
		}
	}
	return false
}

func (s *contactFilter) positions(id string) [2]uint64 {
	h := maphash.String(s.seed, id)
	const mask = uint64(len(s.bits))*64 - 1
	return [2]uint64{h & mask, h >> 32 & mask}
}

// isUnknownContact reports whether an id is certainly unknown. The first call starts to fill the
// filter in the background.
func (l *SQLite) isUnknownContact(id string) bool {
	l.tables.contacts.fill.Do(func() { go l.fillContactFilter() })
	return l.tables.contacts.excludes(id)
}

func (l *SQLite) fillContactFilter() {
	err := l.file.Read(context.Background(), func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT id FROM aliases", func(row *sqlite.Stmt) { l.tables.contacts.add(row.ColumnText(0)) })
	})
	l.tables.contacts.ready.Store(err == nil)
}
