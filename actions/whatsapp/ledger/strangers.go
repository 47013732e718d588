package ledger

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// Strangers are those of whom the file knows nothing: most whom a campaign is sent to. For
// them the file need not be asked, which costs more than to note the send. It is a Bloom
// filter: who is in it may be known, who is not certainly is not, but for what another
// process has stored since it was filled.
//
// A million people leave one stranger in twenty to be looked up.
type strangers struct {
	fill  sync.Once
	ready atomic.Bool // all that the file has are in it
	seed  maphash.Seed
	bits  [1 << 17]atomic.Uint64
}

func newStrangers() *strangers { return &strangers{seed: maphash.MakeSeed()} }

// note says that somebody is known from now on.
func (s *strangers) note(id string) {
	for _, at := range s.places(id) {
		s.bits[at/64].Or(1 << (at % 64))
	}
}

// has tells whether nobody knows the id, if that is certain.
func (s *strangers) has(id string) bool {
	if !s.ready.Load() {
		return false
	}
	for _, at := range s.places(id) {
		if s.bits[at/64].Load()&(1<<(at%64)) == 0 {
			return true
		}
	}
	return false
}

func (s *strangers) places(id string) [2]uint64 {
	h := maphash.String(s.seed, id)
	const mask = uint64(len(s.bits))*64 - 1
	return [2]uint64{h & mask, h >> 32 & mask}
}

// isStranger tells whether nobody knows the id, if that is certain. The first who asks has
// the filter filled, beside.
func (l *SQLite) isStranger(id string) bool {
	l.strangers.fill.Do(func() { go l.fillStrangers() })
	return l.strangers.has(id)
}

func (l *SQLite) fillStrangers() {
	err := l.file.Read(context.Background(), func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, "SELECT id FROM aliases", func(row *sqlite.Stmt) { l.strangers.note(row.ColumnText(0)) })
	})
	l.strangers.ready.Store(err == nil)
}
