package ledger

import (
	"context"
	"encoding/json"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// receiptOf turns a status into a receipt of the call that sent its message; nil if that is not
// known. The status itself may not name the call: Meta does not promise that for failures.
func receiptOf(n inbound.Notification, key string) *call.Receipt {
	if n.Call() == "" {
		n.CallbackData = key
	}
	if r, ok := n.Receipt(); ok {
		return &r
	}
	return nil
}

// Message implements Ledger.
func (l *SQLite) Message(ctx context.Context, id string) (m Message, ok bool, err error) {
	var rows []eventRow
	err = l.file.Read(ctx, func(conn *sqlite.Conn) error {
		err := sqlitefile.Query(conn, "SELECT call, sender, recipient, state, at FROM messages WHERE id = ?", func(row *sqlite.Stmt) {
			ok = true
			m = Message{
				ID: id, Call: row.ColumnText(0), Sender: row.ColumnText(1), Recipient: row.ColumnText(2),
				State: state(row.ColumnInt64(3)).name(), At: sqlitefile.Time(row, 4),
			}
		}, id)
		if err == nil && ok {
			rows, err = events(conn, "WHERE message = ?", id)
		}
		return err
	})
	if err == nil {
		m.Statuses, err = l.notifications(rows)
	}
	return m, ok, err
}

// Receipts implements Ledger.
func (l *SQLite) Receipts(ctx context.Context, since time.Time, calls ...string) ([]call.Receipt, error) {
	asked, err := json.Marshal(calls)
	if err != nil {
		return nil, err
	}
	var rows []statusRow
	err = l.file.Read(ctx, func(conn *sqlite.Conn) error {
		rows = nil
		return sqlitefile.Query(conn, `
			SELECT m.call, m.id, e.id, e.body FROM messages m LEFT JOIN events e ON e.message = m.id
			WHERE m.call IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM events WHERE message = m.id AND received < ?2)
				AND (e.id IS NOT NULL OR m.state < ?3 AND m.at >= ?2)
			ORDER BY e.seq, m.seq`, func(row *sqlite.Stmt) {
			rows = append(rows, statusRow{row.ColumnText(0), row.ColumnText(1), eventRow{sqlitefile.Blob(row, 2), sqlitefile.Blob(row, 3)}})
		}, string(asked), max(0, since.UnixNano()), int64(sent))
	})
	if err != nil {
		return nil, err
	}
	return l.receipts(rows)
}

// A statusRow is a stored status of a call's message. Without an event it says that the message has
// no status yet.
type statusRow struct {
	call, message string
	eventRow
}

func (o Options) receipts(rows []statusRow) (receipts []call.Receipt, err error) {
	for _, row := range rows {
		if len(row.id) == 0 {
			receipts = append(receipts, acceptedReceipt(row.call, row.message))
			continue
		}
		told, err := o.unseal(row.eventRow)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, receiptsOf(row.call, told)...)
	}
	return receipts, nil
}

// acceptedReceipt is the receipt of a call of which only the answer is known.
func acceptedReceipt(key, message string) call.Receipt {
	return call.Receipt{Key: key, ID: message + ":" + call.Accepted, State: call.Accepted, Data: map[string]any{"message_id": message}}
}

func receiptsOf(key string, statuses ...inbound.Notification) []call.Receipt {
	var receipts []call.Receipt
	for _, n := range statuses {
		if r := receiptOf(n, key); r != nil {
			r.Key = key
			receipts = append(receipts, *r)
		}
	}
	return receipts
}

// Inbound implements Ledger.
func (l *SQLite) Inbound(ctx context.Context, sender, contact string, since time.Time) ([]inbound.Notification, error) {
	var rows []eventRow
	err := l.file.Read(ctx, func(conn *sqlite.Conn) (err error) {
		rows, err = events(conn, "WHERE contact = (SELECT contact FROM aliases WHERE id = ?1) AND received >= ?2 AND at >= ?3 AND ?4 IN (sender, '')",
			normalize(contact), since.UnixNano(), since.Add(-clockSkew).UnixNano(), sender)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.notifications(rows)
}

// Contact implements Ledger.
func (l *SQLite) Contact(ctx context.Context, id string) (names []string, err error) {
	err = l.file.Read(ctx, func(conn *sqlite.Conn) error {
		t := &tables{conn: conn}
		names = t.contactIDs(normalizeAll(id))
		return t.err
	})
	return names, err
}

// Window implements Ledger.
func (l *SQLite) Window(ctx context.Context, sender, contact string) (Window, error) {
	if l.isUnknownContact(normalize(contact)) {
		return Window{}, nil
	}
	var wrote, shut, heard time.Time
	err := l.file.Peek(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, selectWindow, func(row *sqlite.Stmt) {
			wrote, shut, heard = timeOf(row.ColumnInt64(0)), timeOf(row.ColumnInt64(1)), timeOf(row.ColumnInt64(2))
		}, normalize(contact), sender)
	})
	return windowOf(wrote, shut, heard, l.now()), err
}

// OptedOut implements Ledger.
func (l *SQLite) OptedOut(ctx context.Context, sender, contact string) (out bool, err error) {
	err = l.file.Peek(ctx, func(conn *sqlite.Conn) error {
		return sqlitefile.Query(conn, selectOptedOut, func(row *sqlite.Stmt) { out = row.ColumnBool(0) }, normalize(contact), sender)
	})
	return out, err
}

func events(conn *sqlite.Conn, where string, args ...any) (rows []eventRow, err error) {
	err = sqlitefile.Query(conn, "SELECT id, body FROM events "+where+" ORDER BY seq", func(row *sqlite.Stmt) {
		rows = append(rows, eventRow{sqlitefile.Blob(row, 0), sqlitefile.Blob(row, 1)})
	}, args...)
	return rows, err
}
