package ledger

import (
	"context"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"

	"github.com/jackc/pgx/v5"
)

// scanEvents reads the rows of events.
func scanEvents(rows pgx.Rows) (all []eventRow, err error) {
	err = eachRow(rows, func(row pgx.Rows) error {
		var id [16]byte
		var body []byte
		err := row.Scan(&id, &body)
		all = append(all, eventRow{id[:], body})
		return err
	})
	return all, err
}

// Message implements Ledger.
func (l *Postgres) Message(ctx context.Context, id string) (m Message, ok bool, err error) {
	var statuses []eventRow
	err = l.read(ctx, func(conn *pgx.Conn) error {
		m, ok, statuses = Message{}, false, nil
		b := &pgx.Batch{}
		b.Queue("SELECT coalesce(call, ''), coalesce(sender, ''), coalesce(recipient, ''), state, at FROM messages WHERE id = $1", sanitize(id)).Query(func(rows pgx.Rows) error {
			return eachRow(rows, func(row pgx.Rows) error {
				var s int16
				var at int64
				err := row.Scan(&m.Call, &m.Sender, &m.Recipient, &s, &at)
				m.ID, m.State, m.At, ok = id, state(s).name(), timeOf(at), true
				return err
			})
		})
		b.Queue("SELECT id, body FROM events WHERE message = $1 ORDER BY seq", sanitize(id)).Query(func(rows pgx.Rows) (err error) {
			statuses, err = scanEvents(rows)
			return err
		})
		return conn.SendBatch(ctx, b).Close()
	})
	if err == nil && ok {
		m.Statuses, err = l.notifications(statuses)
	}
	return m, ok, err
}

// Receipts implements Ledger.
func (l *Postgres) Receipts(ctx context.Context, since time.Time, calls ...string) ([]call.Receipt, error) {
	var found []statusRow
	err := l.read(ctx, func(conn *pgx.Conn) error {
		found = nil
		return query(ctx, conn, `
			SELECT m.call, m.id, e.id, e.body FROM messages m LEFT JOIN events e ON e.message = m.id
			WHERE m.call = ANY ($1) AND NOT EXISTS (SELECT FROM events WHERE message = m.id AND received < $2)
				AND (e.id IS NOT NULL OR m.state < $3 AND m.since >= $2)
			ORDER BY e.seq NULLS FIRST, m.since`, func(row pgx.Rows) error {
			var one statusRow
			var id *[16]byte
			err := row.Scan(&one.call, &one.message, &id, &one.body)
			if id != nil {
				one.id = id[:]
			}
			found = append(found, one)
			return err
		}, sanitizeAll(calls), max(0, since.UnixNano()), int16(sent))
	})
	if err != nil {
		return nil, err
	}
	return l.receipts(found)
}

// Inbound implements Ledger.
func (l *Postgres) Inbound(ctx context.Context, sender, contact string, since time.Time) ([]inbound.Notification, error) {
	return l.events(ctx, `
		SELECT e.id, e.body FROM aliases a JOIN inbound i ON i.contact = a.contact JOIN events e ON e.seq = i.event
		WHERE a.id = $1 AND i.received >= $2 AND i.at >= $3 AND $4 IN (i.sender, '') ORDER BY e.seq`,
		sanitize(normalize(contact)), since.UnixNano(), since.Add(-clockSkew).UnixNano(), sanitize(sender))
}

func (l *Postgres) events(ctx context.Context, sql string, args ...any) ([]inbound.Notification, error) {
	var found []eventRow
	err := l.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err == nil {
			found, err = scanEvents(rows)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.notifications(found)
}

// Contact implements Ledger.
func (l *Postgres) Contact(ctx context.Context, id string) ([]string, error) {
	names := map[string][]string{}
	asked := sanitizeAll(normalizeAll(id))
	err := l.read(ctx, func(conn *pgx.Conn) error {
		clear(names)
		b := &pgx.Batch{}
		queueContactIDs(b, asked, names)
		return conn.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return nil, err
	}
	for _, id := range asked {
		if len(names[id]) > 0 {
			return names[id], nil
		}
	}
	return asked, nil
}

// Window implements Ledger.
func (l *Postgres) Window(ctx context.Context, sender, contact string) (Window, error) {
	var wrote, shut, heard int64
	err := l.row(ctx, `
		SELECT wrote, shut, coalesce(heard, 0) FROM aliases JOIN windows USING (contact) LEFT JOIN senders USING (sender)
		WHERE id = $1 AND sender = $2`, []any{&wrote, &shut, &heard}, sanitize(normalize(contact)), sanitize(sender))
	return windowOf(timeOf(wrote), timeOf(shut), timeOf(heard), l.now()), err
}

// OptedOut implements Ledger.
func (l *Postgres) OptedOut(ctx context.Context, sender, contact string) (out bool, err error) {
	err = l.row(ctx, `
		SELECT out AND heard >= at FROM aliases JOIN preferences USING (contact) JOIN senders USING (sender)
		WHERE id = $1 AND sender = $2`, []any{&out}, sanitize(normalize(contact)), sanitize(sender))
	return out, err
}

// row reads a row, if there is one.
func (l *Postgres) row(ctx context.Context, sql string, into []any, args ...any) error {
	return l.read(ctx, func(conn *pgx.Conn) error {
		return query(ctx, conn, sql, func(row pgx.Rows) error { return row.Scan(into...) }, args...)
	})
}
