package ledger

import (
	"context"
	"slices"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"

	"github.com/jackc/pgx/v5"
)

// Statements that store many rows take a column each, as arrays. Rows are touched in the
// order of their keys, and tables in the order of this file and postgres_people.go: so two
// who store at the same time wait for each other, and not each for the other.
const (
	// insertEvents stores what is not known, with what statuses say of their messages.
	insertEvents = `
		WITH told AS MATERIALIZED (
			SELECT nextval('arrivals') AS seq, * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::bigint[], $9::bytea[])
				AS told (id, kind, message, call, sender, recipient, state, at, body)
		), fresh AS (
			INSERT INTO events (seq, id, kind, message, sender, at, received, body)
			SELECT seq, id, kind, nullif(message, ''), nullif(sender, ''), at, $10::bigint, body FROM told ORDER BY id
			ON CONFLICT (id) DO NOTHING
			RETURNING seq, id, message
		), said AS (
			INSERT INTO messages AS m (id, call, sender, recipient, state, at, since, updated)
			SELECT message,
				(array_agg(call ORDER BY seq) FILTER (WHERE call <> ''))[1],
				(array_agg(sender ORDER BY seq) FILTER (WHERE sender <> ''))[1],
				(array_agg(recipient ORDER BY seq) FILTER (WHERE recipient <> ''))[1],
				max(state), (array_agg(at ORDER BY state DESC, seq))[1], $10, $10
			FROM told WHERE message <> '' AND seq = ANY (ARRAY(SELECT seq FROM fresh)) GROUP BY message ORDER BY message
			ON CONFLICT (id) DO UPDATE SET
				call = coalesce(m.call, excluded.call),
				sender = coalesce(m.sender, excluded.sender),
				recipient = coalesce(m.recipient, excluded.recipient),
				at = CASE WHEN excluded.state > m.state THEN excluded.at ELSE m.at END,
				state = greatest(m.state, excluded.state),
				updated = excluded.updated
			RETURNING m.id, m.call, m.state
		), rivals AS (
			SELECT said.id AS message, min(held.call) AS call FROM said
				JOIN claims gone ON gone.call = said.call AND gone.freed <> ''
				JOIN claims held ON held.contact = gone.contact AND held.key = gone.key AND held.freed = ''
			WHERE said.state <> $11 AND NOT EXISTS (SELECT FROM messages known WHERE known.id = said.id)
			GROUP BY said.id
		)
		SELECT seq, id, coalesce(rivals.message, ''), coalesce(call, '') FROM fresh LEFT JOIN rivals USING (message)`
	callsOf = "SELECT id, coalesce(call, '') FROM messages WHERE id = ANY($1)"

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

// A webhook is what one told.
type webhook struct {
	now    time.Time
	facts  []fact
	rows   eventRows
	people []string // the ids of all …
	placed []string // … and of those who have to have a place
	exact  bool     // when it came matters to the moment
}

// Event rows are the facts in columns, each once.
type eventRows struct {
	ids                                         [][16]byte
	kinds, messages, calls, senders, recipients []string
	states                                      []int16
	at                                          []int64
	bodies                                      [][]byte
}

func (l *Postgres) webhook(told []inbound.Notification, now time.Time) (*webhook, error) {
	w := &webhook{now: now}
	for _, n := range told {
		f := factOf(n, now)
		f.people, f.left = cleaned(f.people), clean(f.left)
		w.facts = append(w.facts, f)
		w.people = append(w.people, f.people...)
		if f.named() {
			w.placed = append(w.placed, f.people...)
		}
		w.exact = w.exact || f.shut || f.optedOut || f.optedIn
		if slices.Contains(w.rows.ids, [16]byte(f.id)) {
			continue
		}
		body, err := l.seal(f)
		if err != nil {
			return nil, err
		}
		w.rows.add(f, body)
	}
	w.people, w.placed = each(w.people), each(w.placed)
	return w, nil
}

func (r *eventRows) add(f fact, body []byte) {
	message := ""
	if f.Kind == "status" {
		message = clean(f.MessageID)
	}
	r.ids, r.kinds, r.messages = append(r.ids, f.id), append(r.kinds, clean(f.Kind)), append(r.messages, message)
	r.calls, r.senders, r.recipients = append(r.calls, clean(f.call)), append(r.senders, clean(f.PhoneNumberID)), append(r.recipients, clean(key(f.To)))
	r.states, r.at, r.bodies = append(r.states, int16(f.state)), append(r.at, f.at.UnixNano()), append(r.bodies, body)
}

// Apply implements Ledger. What names nobody with two ids takes one round trip to the
// server, the rest two.
func (l *Postgres) Apply(ctx context.Context, told ...inbound.Notification) ([]News, error) {
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

// Findings are what is known of what a webhook told.
type findings struct {
	fresh  map[identity]int64  // the places among the events
	calls  map[string]string   // by message
	rivals map[string]string   // by message
	names  map[string][]string // by id
}

// store stores all that is not known.
func (w *webhook) store(ctx context.Context, a attempt) ([]News, error) {
	found := findings{map[identity]int64{}, map[string]string{}, map[string]string{}, map[string][]string{}}
	who := census{}

	b := &pgx.Batch{}
	if len(w.placed) > 0 {
		b.Queue("BEGIN")
	}
	w.queue(b, found)
	if len(w.placed) == 0 {
		w.finish(b, found)
		if err := a.send(ctx, b); err != nil {
			return nil, err
		}
		return w.news(found), nil
	}
	who.queue(b, w.placed, a.exclusive)
	if err := a.send(ctx, b); err != nil {
		return nil, err
	}
	var acts []act
	taken := map[identity]bool{}
	for _, f := range w.facts {
		if seq, ok := found.fresh[f.id]; ok && f.named() && !taken[f.id] {
			taken[f.id] = true
			acts = append(acts, act{f, seq})
		}
	}
	b = &pgx.Batch{}
	if err := who.store(b, acts, w.now, a.exclusive); err != nil {
		return nil, err
	}
	w.finish(b, found)
	b.Queue("COMMIT")
	if err := a.send(ctx, b); err != nil {
		return nil, err
	}
	return w.news(found), nil
}

// queue stores events and messages, and asks whose messages they are.
func (w *webhook) queue(b *pgx.Batch, found findings) {
	r := w.rows
	b.Queue(insertEvents, r.ids, r.kinds, r.messages, r.calls, r.senders, r.recipients, r.states, r.at, r.bodies, w.now.UnixNano(), int16(failed)).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var seq int64
			var id [16]byte
			var message, rival string
			err := row.Scan(&seq, &id, &message, &rival)
			if found.fresh[id] = seq; rival != "" {
				found.rivals[message] = rival
			}
			return err
		})
	})
	if messages := each(slices.Clone(r.messages)); len(messages) > 0 && messages[len(messages)-1] != "" {
		b.Queue(callsOf, messages).Query(func(rows pgx.Rows) error {
			return every(rows, func(row pgx.Rows) error {
				var id, call string
				err := row.Scan(&id, &call)
				found.calls[id] = call
				return err
			})
		})
	}
}

// finish asks who is who by now, and notes from whom the webhook came.
func (w *webhook) finish(b *pgx.Batch, found findings) {
	if len(w.people) > 0 {
		queueNames(b, w.people, found.names)
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
func (w *webhook) news(found findings) []News {
	news := make([]News, 0, len(w.facts))
	for _, f := range w.facts {
		_, isFresh := found.fresh[f.id]
		delete(found.fresh, f.id) // what comes again in the same webhook is known
		one := News{Notification: f.Notification, Known: !isFresh, Contact: f.people}
		if message := clean(f.MessageID); f.Kind == "status" && message != "" {
			one.Receipt = receiptOf(f.Notification, found.calls[message])
			if isFresh {
				one.Rival = found.rivals[message]
				delete(found.rivals, message)
			}
		}
		for _, id := range f.people {
			if all := found.names[id]; len(all) > 0 {
				one.Contact = all
				break
			}
		}
		news = append(news, one)
	}
	return news
}

// What an answer says of its message. The row is there after the first statement, so that
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
			SELECT id, call FROM messages WHERE id = $1 AND (updated < $6 OR call IS NULL OR state < $5::smallint) FOR UPDATE
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
			b.Queue(freeClaims, clean(answer.Call))
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
		b = &pgx.Batch{}
		if err := who.store(b, []act{{fact: f}}, now, a.exclusive); err != nil {
			return err
		}
		b.Queue("COMMIT")
		return a.send(ctx, b)
	})
	if err != nil || !overtaken {
		return nil, err
	}
	return l.Receipts(ctx, time.Time{}, answer.Call)
}
