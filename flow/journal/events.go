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
func (r queries) Events(ctx context.Context, name, subject, connection string, since time.Time) ([]Event, error) {
	return r.events(ctx, func(e *Event) bool { return e.matches(name, subject, connection, since) }, selectEvents, hash(name, subject), encodeTime(since))
}

// OpenEvents is as in Journal.
func (r queries) OpenEvents(ctx context.Context) ([]Event, error) {
	return r.events(ctx, func(*Event) bool { return true }, selectOpen)
}

func (r queries) events(ctx context.Context, match func(*Event) bool, query string, args ...any) (events []Event, err error) {
	err = r.read(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, query, func(row *sqlite.Stmt) {
			e := Event{
				ID:         row.ColumnText(1),
				Name:       row.ColumnText(2),
				Subjects:   columnTexts(row, 3),
				Connection: row.ColumnText(4),
				At:         columnTime(row, 5),
				Claimed:    row.ColumnBool(6),
				Done:       row.ColumnBool(7),
				Body:       sqlitefile.Blob(row, 8),
			}
			if match(&e) {
				events = append(events, e)
			}
		}, args...)
	})
	return events, err
}

// insertEvent stores an event, and reports whether it was not stored before.
func (s *store) insertEvent(conn *sqlite.Conn, e *Event) (fresh bool, err error) {
	err = sqlitefile.Query(conn, `INSERT INTO events (id, name, subjects, connection, at, claimed, done, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, nil,
		e.ID, e.Name, encodeTexts(e.Subjects), e.Connection, encodeTime(e.At), e.Claimed, e.Done, []byte(e.Body))
	if err != nil || conn.Changes() == 0 {
		return false, err
	}
	seq := conn.LastInsertRowID()
	for _, subject := range e.Subjects {
		err := sqlitefile.Query(conn, "INSERT INTO subjects (hash, at, event) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", nil, hash(e.Name, subject), encodeTime(e.At), seq)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// claim marks events as consumed.
func claim(conn *sqlite.Conn, events []string) error {
	for _, id := range events {
		if err := sqlitefile.Query(conn, "UPDATE events SET claimed = 1 WHERE id = ?", nil, id); err != nil {
			return err
		}
	}
	return nil
}
