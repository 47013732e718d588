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
	file     *sqlitefile.File
	pending  pendingAnswers // not stored yet
	contacts *contactFilter
	cache    *writerCache
}

// OpenSQLite opens the ledger in a file, or creates one that only its owner can read. A file of an
// older version is migrated. Several processes may have it open.
func OpenSQLite(path string, o Options) (*SQLite, error) {
	file, err := sqlitefile.Open(path, kind())
	if err != nil {
		return nil, err
	}
	l := &SQLite{Options: o, file: file, pending: newPendingAnswers(), contacts: newContactFilter(), cache: newWriterCache()}
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
	updates := make([]Update, 0, len(told))
	err := l.write(ctx, true, size, func(conn *sqlite.Conn) error {
		t := l.tables(conn, now)
		for i := range entries {
			e := &entries[i]
			if e.PhoneNumberID != "" {
				if err := t.recordWebhook(e.PhoneNumberID, e.shut || e.optedOut || e.optedIn); err != nil {
					return err
				}
			}
			one, err := t.apply(e)
			if err != nil {
				return err
			}
			updates = append(updates, one)
		}
		return nil
	})
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
	err = l.write(ctx, true, 256, func(conn *sqlite.Conn) error {
		t := l.tables(conn, now)
		contact, err := t.contact(normalizeAll(c.Recipient), true)
		if err != nil {
			return err
		}
		all, err := t.claims(contact, c.Key)
		if err != nil {
			return err
		}
		if v = decide(all, c, now); v.take {
			err = t.takeClaim(contact, c, v)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return v.repeats, v.err
}

// Release implements Ledger.
func (l *SQLite) Release(ctx context.Context, call string) error {
	return l.write(ctx, true, 64, func(conn *sqlite.Conn) error {
		return l.tables(conn, time.Time{}).release(call)
	})
}

// RecordAnswer implements Ledger.
func (l *SQLite) RecordAnswer(ctx context.Context, a whatsapp.Answer) ([]call.Receipt, error) {
	now := l.now()
	overtaken := false
	err := l.file.WriteSoon(ctx, 256, l.afterFlush(func(conn *sqlite.Conn) (err error) {
		overtaken, err = l.tables(conn, now).recordAnswer(a)
		return err
	}))
	if err != nil || !overtaken {
		return nil, err
	}
	return l.Receipts(ctx, time.Time{}, a.Call)
}

// Prune implements Ledger.
func (l *SQLite) Prune(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = l.write(ctx, true, 0, func(conn *sqlite.Conn) (err error) {
		n, err = l.tables(conn, time.Time{}).prune(before, most)
		return err
	})
	return n, err
}

func (l *SQLite) tables(conn *sqlite.Conn, now time.Time) tables {
	return tables{conn, now, l.contacts, l.cache}
}

// Healthy returns why the ledger can store nothing more, nil while it can.
func (l *SQLite) Healthy() error { return l.file.Healthy() }

// Close implements Ledger.
func (l *SQLite) Close() error { return l.file.Close() }
