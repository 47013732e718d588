package ledger

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// Answers are what became of sends. One comes with each, and nobody waits for it: those of
// a transaction are stored together, at its end or before something else is. Only the
// goroutine that writes uses them.
type answers struct {
	waiting []answer
	insert  sqlitefile.Insert
}

// An answer is one of a message that was accepted, and of whose recipient it says nothing.
type answer struct {
	whatsapp.Answer
	at      time.Time
	receive func(call.Receipt) // nil: nobody wants receipts
}

func newAnswers() answers {
	// OR IGNORE, which ON CONFLICT is not, spares SQLite a copy of each page.
	return answers{insert: sqlitefile.NewInsert("INSERT OR IGNORE INTO messages (id, call, sender, recipient, state, at, updated)", "?, ?, ?, ?, ?, ?, ?")}
}

// Tell is Told for who does not want to wait: the receipts, if there are any, go to receive
// from another goroutine.
func (l *SQLite) Tell(ctx context.Context, a whatsapp.Answer, receive func(call.Receipt)) error {
	one := answer{a, l.now(), receive}
	if a.MessageID == "" || a.Call == "" || areNamed(each(ids(a.Recipient, a.WaID)), a.Shut || a.OptedOut) {
		return l.write(ctx, false, 256, func(conn *sqlite.Conn) error { return l.tell(conn, one) })
	}
	return l.file.Write(ctx, false, 256, func(*sqlite.Conn) error {
		l.answers.waiting = append(l.answers.waiting, one)
		return nil
	})
}

// tell stores an answer.
func (l *SQLite) tell(conn *sqlite.Conn, a answer) error {
	overtaken, err := l.tables(conn, a.at).told(a.Answer)
	if overtaken && a.receive != nil {
		go l.pass(a.Call, a.receive)
	}
	return err
}

// pass hands over the receipts of a call. What cannot be read stays in the ledger.
func (l *SQLite) pass(call string, receive func(call.Receipt)) {
	receipts, _ := l.Receipts(context.Background(), time.Time{}, call)
	for _, r := range receipts {
		receive(r)
	}
}

// write is File.Write of what rests on the answers that came before.
func (l *SQLite) write(ctx context.Context, durable bool, size int, apply func(*sqlite.Conn) error) error {
	return l.file.Write(ctx, durable, size, l.settled(apply))
}

// settled is apply after the answers that wait are stored.
func (l *SQLite) settled(apply func(*sqlite.Conn) error) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		if err := l.settle(conn); err != nil {
			return err
		}
		return apply(conn)
	}
}

// settle stores the answers that wait. Nearly always their messages are new; where one is
// not, because a webhook was faster, each of those beside it is stored alone.
func (l *SQLite) settle(conn *sqlite.Conn) error {
	all := l.answers.waiting
	err := l.answers.insert.Rows(conn, len(all), func(q *sqlite.Stmt, at, row int) {
		a := all[row]
		q.BindText(at+1, a.MessageID)
		q.BindText(at+2, a.Call)
		bindText(q, at+3, a.Sender)
		bindText(q, at+4, key(a.Recipient))
		q.BindInt64(at+5, int64(stateOf(string(a.State))))
		q.BindInt64(at+6, a.at.UnixNano())
		q.BindInt64(at+7, a.at.UnixNano())
	}, func(from, end int) error {
		if conn.Changes() == end-from {
			return nil
		}
		for _, a := range all[from:end] {
			if err := l.tell(conn, a); err != nil {
				return err
			}
		}
		return nil
	})
	clear(all)
	l.answers.waiting = all[:0]
	return err
}

// bindText binds a text, null where there is none.
func bindText(q *sqlite.Stmt, param int, s string) {
	if s == "" {
		q.BindNull(param)
		return
	}
	q.BindText(param, s)
}
