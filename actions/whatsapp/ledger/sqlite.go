package ledger

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A DiskError says that a ledger's file cannot be used. After one from writing, the ledger
// stores nothing more: it has to be opened again.
type DiskError = sqlitefile.DiskError

// SQLite is a ledger in a file. Concurrent writes share one sync of the disk. In memory it only
// keeps a filter of the known contacts, which takes a megabyte.
//
// Errors of the file are a *DiskError. The first one from writing is final.
type SQLite struct {
	Options
	file    *sqlitefile.File
	pending pendingAnswers // not stored yet
	tables  tables
}

// OpenSQLite opens the ledger in a file, or creates one that only its owner can read. A file of an
// older version is migrated. Several processes may have it open.
func OpenSQLite(path string, o Options) (*SQLite, error) {
	file, err := sqlitefile.Open(path, kind())
	if err != nil {
		return nil, err
	}
	l := &SQLite{Options: o, file: file, pending: newPendingAnswers(), tables: newTables()}
	file.OnCommit(l.flush, l.flush)
	return l, nil
}

// A sealedFact is a fact with its sealed notification.
type sealedFact struct {
	fact
	body []byte
}

// Apply implements Ledger.
func (l *SQLite) Apply(ctx context.Context, told ...inbound.Notification) ([]Update, error) {
	now := l.now()
	entries := make([]sealedFact, len(told))
	size := 0
	for i, n := range told {
		f := factOf(n, now)
		body, err := l.seal(f)
		if err != nil {
			return nil, err
		}
		entries[i] = sealedFact{f, body}
		size += 512 + len(body)
	}
	updates := make([]Update, len(told))
	err := l.file.Write(ctx, true, size, l.inTables(now, func(t *tables) {
		for i := range entries {
			updates[i] = t.apply(&entries[i])
		}
	}))
	if err != nil {
		return nil, err
	}
	for i := range updates { // not in the goroutine that writes, which all callers wait for
		if e := &entries[i]; e.Kind == "status" && e.MessageID != "" {
			updates[i].Receipt = receiptOf(e.Notification, e.call)
		}
	}
	return updates, nil
}

// Claim implements Ledger.
func (l *SQLite) Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	now := l.now()
	var v decision
	err = l.file.Write(ctx, true, 256, l.inTables(now, func(t *tables) {
		contact := t.contact(normalizeAll(c.Recipient))
		if v = decide(t.claims(contact, c.Key), c, now); v.take {
			t.takeClaim(contact, c, v)
		}
	}))
	if err != nil {
		return "", err
	}
	return v.repeats, v.err
}

// Release implements Ledger.
func (l *SQLite) Release(ctx context.Context, call string) error {
	return l.file.Write(ctx, true, 64, l.inTables(time.Time{}, func(t *tables) { t.query(releaseClaims, nil, call) }))
}

// RecordAnswer implements Ledger.
func (l *SQLite) RecordAnswer(ctx context.Context, a whatsapp.Answer) ([]call.Receipt, error) {
	overtaken := false
	err := l.file.WriteSoon(ctx, 256, l.inTables(l.now(), func(t *tables) { overtaken = t.recordAnswer(a) }))
	if err != nil || !overtaken {
		return nil, err
	}
	return l.Receipts(ctx, time.Time{}, a.Call)
}

// Prune implements Ledger.
func (l *SQLite) Prune(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = l.file.Write(ctx, true, 0, l.inTables(time.Time{}, func(t *tables) { n = t.prune(before, most) }))
	return n, err
}

// inTables returns a write that does something at a time, after the pending answers are stored.
func (l *SQLite) inTables(now time.Time, do func(*tables)) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		if err := l.flush(conn); err != nil {
			return err
		}
		t := l.tables.begin(conn, now)
		do(t)
		return t.err
	}
}

// Backup copies the ledger as of now to a new file, while it may be written. The copy is durable
// when it returns. An existing file is never overwritten.
func (l *SQLite) Backup(ctx context.Context, path string) error { return l.file.Backup(ctx, path) }

// Healthy returns why the ledger can store nothing more, nil while it can.
func (l *SQLite) Healthy() error { return l.file.Healthy() }

// Close implements Ledger.
func (l *SQLite) Close() error { return l.file.Close() }
