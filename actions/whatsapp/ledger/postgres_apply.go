package ledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
)

// Statements that store many rows take a column each, as arrays. Rows are touched in the
// order of their keys, and tables in the order of this file and postgres_people.go: so two
// who store at the same time wait for each other, and not each for the other.
const (
	insertEvents = `
		INSERT INTO events (seq, id, kind, message, sender, at, received, body)
		SELECT seq, id, kind, nullif(message, ''), nullif(sender, ''), at, $7::bigint, body FROM (
			SELECT nextval('arrivals') AS seq, * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])
				AS told (id, kind, message, sender, at, body)
		) AS arrived ORDER BY id
		ON CONFLICT (id) DO NOTHING
		RETURNING seq, id`

	upsertMessages = `
		INSERT INTO messages AS m (id, call, sender, recipient, state, at, since, updated)
		SELECT id, nullif(call, ''), nullif(sender, ''), nullif(recipient, ''), state, at, $7::bigint, $7::bigint
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[])
			AS told (id, call, sender, recipient, state, at) ORDER BY id
		ON CONFLICT (id) DO UPDATE SET
			call = coalesce(m.call, excluded.call),
			sender = coalesce(m.sender, excluded.sender),
			recipient = coalesce(m.recipient, excluded.recipient),
			at = CASE WHEN excluded.state > m.state THEN excluded.at ELSE m.at END,
			state = greatest(m.state, excluded.state),
			updated = excluded.updated
		RETURNING id, coalesce(call, '')`

	// A row that is not older than hearing stays as it is: else all that comes for one
	// sender would wait in line for it.
	hearSenders = `
		INSERT INTO senders AS s (sender, heard)
		SELECT sender, $2::bigint FROM unnest($1::text[]) AS told (sender)
		WHERE NOT EXISTS (SELECT FROM senders AS known WHERE known.sender = told.sender AND known.heard >= $2::bigint - $3::bigint) ORDER BY sender
		ON CONFLICT (sender) DO UPDATE SET heard = greatest(s.heard, excluded.heard)`
)

// hearing is how exact it is known when the last webhook of a sender came.
const hearing = time.Second

// A webhook is what one told, in the form of the tables.
type webhook struct {
	now      time.Time
	facts    []fact
	bodies   [][]byte
	messages map[string]*messageRow
	people   []string // the ids of all …
	placed   []string // … and of those who have to have a place
	exact    bool     // when it came matters to the moment
}

// A messageRow is what statuses say of one message.
type messageRow struct {
	call, sender, recipient string
	state                   state
	at                      time.Time
}

func (l *Postgres) webhook(told []whatsapp.Notification, now time.Time) (*webhook, error) {
	w := &webhook{now: now, messages: map[string]*messageRow{}}
	for _, n := range told {
		f := factOf(n, now)
		body, err := l.seal(f)
		if err != nil {
			return nil, err
		}
		f.people = cleaned(f.people)
		f.left = clean(f.left)
		w.facts, w.bodies = append(w.facts, f), append(w.bodies, body)
		w.people = append(w.people, f.people...)
		if f.named() {
			w.placed = append(w.placed, f.people...)
		}
		w.exact = w.exact || f.shut || f.optedOut || f.optedIn
		if n.Kind == "status" && n.MessageID != "" {
			w.message(f)
		}
	}
	w.people, w.placed = each(w.people), each(w.placed)
	return w, nil
}

// message adds what a status says to what others have said.
func (w *webhook) message(f fact) {
	said := messageRow{clean(f.call), clean(f.PhoneNumberID), clean(key(f.To)), f.state, f.at}
	id := clean(f.MessageID)
	m := w.messages[id]
	if m == nil {
		w.messages[id] = &said
		return
	}
	if said.state > m.state {
		m.state, m.at = said.state, said.at
	}
	for _, text := range []struct{ known, said *string }{{&m.call, &said.call}, {&m.sender, &said.sender}, {&m.recipient, &said.recipient}} {
		if *text.known == "" {
			*text.known = *text.said
		}
	}
}

// Apply implements Ledger. What names nobody with two ids takes one round trip to the
// server, the rest two.
func (l *Postgres) Apply(ctx context.Context, told ...whatsapp.Notification) ([]News, error) {
	w, err := l.webhook(told, l.now())
	if err != nil {
		return nil, err
	}
	var news []News
	err = l.write(ctx, "store what a webhook told", func(ctx context.Context, a attempt) (err error) {
		news, err = w.store(ctx, a)
		return err
	})
	if err != nil {
		return nil, err
	}
	return news, nil
}

// store stores all that is not known.
func (w *webhook) store(ctx context.Context, a attempt) ([]News, error) {
	fresh := map[identity]int64{} // its place among the events
	calls := map[string]string{}  // by message
	names := map[string][]string{}
	who := census{}

	b := &pgx.Batch{}
	if len(w.placed) > 0 {
		b.Queue("BEGIN")
	}
	w.queue(b, fresh, calls)
	if len(w.placed) == 0 {
		w.finish(b, names)
		if err := a.send(ctx, b); err != nil {
			return nil, err
		}
		return w.news(fresh, calls, names), nil
	}
	who.queue(b, w.placed, a.exclusive)
	if err := a.send(ctx, b); err != nil {
		return nil, err
	}
	var acts []act
	for i, f := range w.facts {
		if seq, ok := fresh[f.id]; ok && f.named() && !slices.ContainsFunc(w.facts[:i], func(g fact) bool { return g.id == f.id }) {
			acts = append(acts, act{f, seq})
		}
	}
	b, err := who.store(ctx, a, acts, w.now)
	if err != nil {
		return nil, err
	}
	w.finish(b, names)
	b.Queue("COMMIT")
	if err := a.send(ctx, b); err != nil {
		return nil, err
	}
	return w.news(fresh, calls, names), nil
}

// queue stores events and messages.
func (w *webhook) queue(b *pgx.Batch, fresh map[identity]int64, calls map[string]string) {
	var ids [][16]byte
	var kinds, messages, senders []string
	var at []int64
	for _, f := range w.facts {
		message := ""
		if f.Kind == "status" {
			message = clean(f.MessageID)
		}
		ids, kinds, messages = append(ids, f.id), append(kinds, clean(f.Kind)), append(messages, message)
		senders, at = append(senders, clean(f.PhoneNumberID)), append(at, f.at.UnixNano())
	}
	b.Queue(insertEvents, ids, kinds, messages, senders, at, w.bodies, w.now.UnixNano()).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var seq int64
			var id [16]byte
			err := row.Scan(&seq, &id)
			fresh[id] = seq
			return err
		})
	})
	if len(w.messages) > 0 {
		queueMessages(b, w.messages, w.now, calls)
	}
}

func queueMessages(b *pgx.Batch, all map[string]*messageRow, now time.Time, calls map[string]string) {
	ids := slices.Sorted(maps.Keys(all))
	var callKeys, senders, recipients []string
	var states []int16
	var at []int64
	for _, id := range ids {
		m := all[id]
		callKeys, senders, recipients = append(callKeys, m.call), append(senders, m.sender), append(recipients, m.recipient)
		states, at = append(states, int16(m.state)), append(at, m.at.UnixNano())
	}
	b.Queue(upsertMessages, ids, callKeys, senders, recipients, states, at, now.UnixNano()).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var id, call string
			err := row.Scan(&id, &call)
			calls[id] = call
			return err
		})
	})
}

// finish asks who is who by now, and notes from whom the webhook came.
func (w *webhook) finish(b *pgx.Batch, names map[string][]string) {
	if len(w.people) > 0 {
		queueNames(b, w.people, names)
	}
	var senders []string
	for _, f := range w.facts {
		if f.PhoneNumberID != "" {
			senders = append(senders, clean(f.PhoneNumberID))
		}
	}
	if len(senders) > 0 {
		within := int64(hearing)
		if w.exact {
			within = 0
		}
		b.Queue(hearSenders, each(senders), w.now.UnixNano(), within)
	}
}

// news is what was told, with what is known of it.
func (w *webhook) news(fresh map[identity]int64, calls map[string]string, names map[string][]string) []News {
	news := make([]News, 0, len(w.facts))
	for _, f := range w.facts {
		_, isFresh := fresh[f.id]
		delete(fresh, f.id) // what comes again in the same webhook is known
		one := News{Notification: f.Notification, Known: !isFresh, Contact: f.people}
		if f.Kind == "status" && f.MessageID != "" {
			one.Receipt = receiptOf(f.Notification, calls[clean(f.MessageID)])
		}
		for _, id := range f.people {
			if all := names[id]; len(all) > 0 {
				one.Contact = all
				break
			}
		}
		news = append(news, one)
	}
	return news
}

// What an answer says of its message: the row is there after the first statement, so that
// the second can tell whether it was there without its call.
const (
	insertMessage = `
		INSERT INTO messages (id, call, sender, recipient, state, at, since, updated)
		VALUES ($1, nullif($2, ''), nullif($3, ''), nullif($4, ''), $5, $6, $6, $6) ON CONFLICT (id) DO NOTHING`
	completeMessage = `
		UPDATE messages AS m SET
			call = coalesce(m.call, nullif($2, '')),
			sender = coalesce(m.sender, nullif($3, '')),
			recipient = coalesce(m.recipient, nullif($4, '')),
			at = CASE WHEN $5::smallint > m.state THEN $6 ELSE m.at END,
			state = greatest(m.state, $5::smallint),
			updated = $6
		FROM (
			SELECT id, call FROM messages WHERE id = $1 AND (call IS NULL OR sender IS NULL OR recipient IS NULL OR state < $5::smallint) FOR UPDATE
		) AS before
		WHERE m.id = before.id
		RETURNING before.call IS NULL`
	// Nobody waits for the disk: what a crash of the server takes is what came last.
	notYet = "SELECT set_config('synchronous_commit', 'off', true)"
)

// Told implements Ledger.
func (l *Postgres) Told(ctx context.Context, answer whatsapp.Answer) ([]call.Receipt, error) {
	now := l.now()
	f := factOfAnswer(answer, now)
	f.people = cleaned(f.people)
	overtaken := false
	err := l.write(ctx, "store what became of a send", func(ctx context.Context, a attempt) error {
		overtaken = a.again
		b := &pgx.Batch{}
		if f.named() {
			b.Queue("BEGIN")
		}
		b.Queue(notYet)
		if answer.MessageID == "" {
			b.Queue(deleteClaims, clean(answer.Call))
		} else {
			args := []any{clean(answer.MessageID), clean(answer.Call), clean(answer.Sender), clean(key(answer.Recipient)), int16(stateOf(string(answer.State))), now.UnixNano()}
			b.Queue(insertMessage, args...)
			b.Queue(completeMessage, args...).Query(func(rows pgx.Rows) error {
				return every(rows, func(row pgx.Rows) error {
					callless := false
					err := row.Scan(&callless)
					overtaken = overtaken || callless
					return err
				})
			})
		}
		if !f.named() {
			return a.send(ctx, b)
		}
		who := census{}
		who.queue(b, f.people, a.exclusive)
		if err := a.send(ctx, b); err != nil {
			return err
		}
		b, err := who.store(ctx, a, []act{{fact: f}}, now)
		if err != nil {
			return err
		}
		b.Queue("COMMIT")
		return a.send(ctx, b)
	})
	if err != nil || !overtaken {
		return nil, err
	}
	return l.Receipts(ctx, answer.Call)
}
