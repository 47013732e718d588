package journal

import (
	"context"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

const (
	eventColumns = "seq, id, name, subjects, connection, events.at, claimed, done, body"
	selectEvents = "SELECT " + eventColumns + " FROM subjects JOIN events ON seq = event WHERE hash = ? AND subjects.at >= ? ORDER BY seq"
	selectOpen   = "SELECT " + eventColumns + " FROM events WHERE done = 0 ORDER BY seq"
)

// Events is as in Journal.
func (r reads) Events(ctx context.Context, name, subject, connection string, since time.Time) ([]Event, error) {
	return r.events(ctx, func(e *Event) bool { return e.fits(name, subject, connection, since) }, selectEvents, hash(name, subject), stamp(since))
}

// Open is as in Journal.
func (r reads) Open(ctx context.Context) ([]Event, error) {
	return r.events(ctx, func(*Event) bool { return true }, selectOpen)
}

func (r reads) events(ctx context.Context, choose func(*Event) bool, query string, args ...any) (events []Event, err error) {
	err = r.file(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, query, func(row *sqlite.Stmt) {
			e := Event{
				ID:         row.ColumnText(1),
				Name:       row.ColumnText(2),
				Subjects:   textsOf(row, 3),
				Connection: row.ColumnText(4),
				At:         timeOf(row, 5),
				Claimed:    row.ColumnBool(6),
				Done:       row.ColumnBool(7),
				Body:       sqlitefile.Blob(row, 8),
			}
			if choose(&e) {
				events = append(events, e)
			}
		}, args...)
	})
	return events, err
}

// deliver stores an event, and tells whether it was not there yet.
func (s *store) deliver(conn *sqlite.Conn, e *Event) (fresh bool, err error) {
	err = sqlitefile.Query(conn, `INSERT INTO events (id, name, subjects, connection, at, claimed, done, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, nil,
		e.ID, e.Name, encodeTexts(e.Subjects), e.Connection, stamp(e.At), e.Claimed, e.Done, []byte(e.Body))
	if err != nil || conn.Changes() == 0 {
		return false, err
	}
	seq := conn.LastInsertRowID()
	for _, subject := range e.Subjects {
		err := sqlitefile.Query(conn, "INSERT INTO subjects (hash, at, event) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", nil, hash(e.Name, subject), stamp(e.At), seq)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// claim notes that events were consumed.
func claim(conn *sqlite.Conn, events []string) error {
	for _, id := range events {
		if err := sqlitefile.Query(conn, "UPDATE events SET claimed = 1 WHERE id = ?", nil, id); err != nil {
			return err
		}
	}
	return nil
}
