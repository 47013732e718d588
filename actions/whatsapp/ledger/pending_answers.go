package ledger

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// pendingAnswers are the answers to sends that were recorded but not stored yet. Nobody waits for
// them, so those of a transaction are stored together, at its end or before another write. Only the
// goroutine that writes uses them.
type pendingAnswers struct {
	queue  []pendingAnswer
	insert sqlitefile.Insert
}

// A pendingAnswer accepted a message, and says nothing about the recipient.
type pendingAnswer struct {
	whatsapp.Answer
	at      time.Time
	receive func(call.Receipt) // nil: receipts are not wanted
}

func newPendingAnswers() pendingAnswers {
	// OR IGNORE, which ON CONFLICT is not, spares SQLite a copy of each page.
	return pendingAnswers{insert: sqlitefile.NewInsert("INSERT OR IGNORE INTO messages (id, call, sender, recipient, state, at, updated)", "?, ?, ?, ?, ?, ?, ?")}
}

// RecordAnswerAsync is RecordAnswer without waiting: receipts, if there are any, go to receive in
// another goroutine.
func (l *SQLite) RecordAnswerAsync(ctx context.Context, a whatsapp.Answer, receive func(call.Receipt)) error {
	one := pendingAnswer{a, l.now(), receive}
	if a.MessageID == "" || a.Call == "" || needContact(recipientIDs(a), a.Shut || a.OptedOut) {
		return l.file.Write(ctx, false, 256, l.inTables(one.at, func(t *tables) { l.storeAnswer(t, one) }))
	}
	return l.file.Write(ctx, false, 256, func(*sqlite.Conn) error {
		l.pending.queue = append(l.pending.queue, one)
		return nil
	})
}

// storeAnswer stores an answer.
func (l *SQLite) storeAnswer(t *tables, a pendingAnswer) {
	if t.recordAnswer(a.Answer) && a.receive != nil {
		go l.deliverReceipts(a.Call, a.receive)
	}
}

// deliverReceipts gives receive the receipts of a call. If they cannot be read, they stay in the
// ledger.
func (l *SQLite) deliverReceipts(call string, receive func(call.Receipt)) {
	receipts, _ := l.Receipts(context.Background(), time.Time{}, call)
	for _, r := range receipts {
		receive(r)
	}
}

// flush stores the pending answers, many rows a statement. Nearly always their messages are new; if
// one is not, because a webhook was faster, all answers of that statement are stored one by one.
func (l *SQLite) flush(conn *sqlite.Conn) error {
	all := l.pending.queue
	err := l.pending.insert.Rows(conn, len(all), func(q *sqlite.Stmt, at, row int) {
		a := all[row]
		q.BindText(at+1, a.MessageID)
		q.BindText(at+2, a.Call)
		bindText(q, at+3, a.Sender)
		bindText(q, at+4, normalize(a.Recipient))
		q.BindInt64(at+5, int64(stateOf(string(a.State))))
		q.BindInt64(at+6, a.at.UnixNano())
		q.BindInt64(at+7, a.at.UnixNano())
	}, func(from, end int) error {
		if conn.Changes() == end-from {
			return nil
		}
		for _, a := range all[from:end] {
			t := l.tables.begin(conn, a.at)
			if l.storeAnswer(t, a); t.err != nil {
				return t.err
			}
		}
		return nil
	})
	clear(all)
	l.pending.queue = all[:0]
	return err
}

// bindText binds a text, NULL for an empty one.
func bindText(q *sqlite.Stmt, param int, s string) {
	if s == "" {
		q.BindNull(param)
		return
	}
	q.BindText(param, s)
}
