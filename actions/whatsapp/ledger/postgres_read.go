package ledger

import (
	"context"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"

	"github.com/jackc/pgx/v5"
)

// readAll returns the rows of a query. It runs it once more if its connection turns out to be gone.
func readAll[T any](ctx context.Context, l *Postgres, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	for again := false; ; again = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows, _ := l.pool.Query(ctx, sql, args...) // its error is also that of the rows
		all, err := pgx.CollectRows(rows, scan)
		if err == nil {
			return all, nil
		}
		if again || !isLost(err) {
			return nil, l.fail("read it", err)
		}
	}
}

// first returns the first row, the zero value if there is none.
func first[T any](rows []T, err error) (row T, _ error) {
	if len(rows) > 0 {
		row = rows[0]
	}
	return row, err
}

func scanEvent(row pgx.CollectableRow) (e eventRow, err error) {
	err = row.Scan(&e.id, &e.body)
	return e, err
}

// Message implements Ledger.
func (l *Postgres) Message(ctx context.Context, id string) (m Message, ok bool, err error) {
	m, err = first(readAll(ctx, l, func(row pgx.CollectableRow) (Message, error) {
		m := Message{ID: id}
		var s, at int64
		err := row.Scan(&m.Call, &m.Sender, &m.Recipient, &s, &at)
		m.State, m.At = state(s).name(), timeOf(at)
		return m, err
	}, "SELECT coalesce(call, ''), coalesce(sender, ''), coalesce(recipient, ''), state, at FROM messages WHERE id = $1", sanitize(id)))
	if err != nil || m.State == "" {
		return Message{}, false, err
	}
	statuses, err := readAll(ctx, l, scanEvent, "SELECT id, body FROM events WHERE message = $1 ORDER BY seq", sanitize(id))
	if err == nil {
		m.Statuses, err = l.notifications(statuses)
	}
	return m, true, err
}

// Receipts implements Ledger.
func (l *Postgres) Receipts(ctx context.Context, since time.Time, calls ...string) ([]call.Receipt, error) {
	found, err := readAll(ctx, l, func(row pgx.CollectableRow) (s statusRow, err error) {
		err = row.Scan(&s.call, &s.message, &s.id, &s.body)
		return s, err
	}, `
		SELECT m.call, m.id, e.id, e.body FROM messages m LEFT JOIN events e ON e.message = m.id
		WHERE m.call = ANY ($1) AND NOT EXISTS (SELECT FROM events WHERE message = m.id AND received < $2)
			AND (e.id IS NOT NULL OR m.state < $3 AND m.since >= $2)
		ORDER BY e.seq NULLS FIRST, m.since`, sanitizeAll(calls), max(0, since.UnixNano()), int16(sent))
	if err != nil {
		return nil, err
	}
	return l.receipts(found)
}

// Inbound implements Ledger.
func (l *Postgres) Inbound(ctx context.Context, sender, contact string, since time.Time) ([]inbound.Notification, error) {
	found, err := readAll(ctx, l, scanEvent, `
		SELECT e.id, e.body FROM aliases a JOIN inbound i ON i.contact = a.contact JOIN events e ON e.seq = i.event
		WHERE a.id = $1 AND i.received >= $2 AND i.at >= $3 AND $4 IN (i.sender, '') ORDER BY e.seq`,
		sanitize(normalize(contact)), since.UnixNano(), since.Add(-clockSkew).UnixNano(), sanitize(sender))
	if err != nil {
		return nil, err
	}
	return l.notifications(found)
}

// Contact implements Ledger.
func (l *Postgres) Contact(ctx context.Context, id string) ([]string, error) {
	asked := sanitizeAll(normalizeAll(id))
	names, err := readAll(ctx, l, pgx.RowTo[string],
		"SELECT b.id FROM aliases a JOIN aliases b ON b.contact = a.contact WHERE a.id = ANY($1) ORDER BY b.id", asked)
	if err == nil && len(names) == 0 {
		names = asked
	}
	return names, err
}

// Window implements Ledger.
func (l *Postgres) Window(ctx context.Context, sender, contact string) (Window, error) {
	return first(readAll(ctx, l, func(row pgx.CollectableRow) (Window, error) {
		var wrote, shut, heard int64
		err := row.Scan(&wrote, &shut, &heard)
		return windowOf(timeOf(wrote), timeOf(shut), timeOf(heard), l.now()), err
	}, selectWindow, sanitize(normalize(contact)), sanitize(sender)))
}

// OptedOut implements Ledger.
func (l *Postgres) OptedOut(ctx context.Context, sender, contact string) (bool, error) {
	return first(readAll(ctx, l, pgx.RowTo[bool], selectOptedOut, sanitize(normalize(contact)), sanitize(sender)))
}
