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

// Statements that store many rows take each column as an array. Rows are locked in the order of
// their keys, and tables in the order of this file and postgres_people.go: so concurrent
// transactions wait for each other, but do not deadlock.
const (
	// insertEvents stores new events, and what new statuses say of their messages.
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

	// A row that is not older than webhookPrecision stays as it is: otherwise all webhooks of a
	// sender would wait for its lock.
	hearSenders = `
		INSERT INTO senders AS s (sender, heard)
		SELECT sender, $2::bigint FROM unnest($1::text[]) AS told (sender)
		WHERE NOT EXISTS (SELECT FROM senders AS known WHERE known.sender = told.sender AND known.heard >= $2::bigint - $3::bigint) ORDER BY sender
		ON CONFLICT (sender) DO UPDATE SET heard = greatest(s.heard, excluded.heard)`
)

// webhookPrecision is the precision of the stored time of a sender's last webhook.
const webhookPrecision = time.Second

// A webhook holds the facts of one, prepared for the statements.
type webhook struct {
	now        time.Time
	facts      []fact
	rows       eventColumns
	ids        []string // of all persons
	contactIDs []string // of those who need a contact
	exactTime  bool     // the exact time of its arrival matters
}

// eventColumns are the distinct facts, as columns.
type eventColumns struct {
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
		f.people, f.droppedID = sanitizeAll(f.people), sanitize(f.droppedID)
		w.facts = append(w.facts, f)
		w.ids = append(w.ids, f.people...)
		if f.needsContact() {
			w.contactIDs = append(w.contactIDs, f.people...)
		}
		w.exactTime = w.exactTime || f.shut || f.optedOut || f.optedIn
		if slices.Contains(w.rows.ids, [16]byte(f.id)) {
			continue
		}
		body, err := l.seal(f)
		if err != nil {
			return nil, err
		}
		w.rows.add(f, body)
	}
	w.ids, w.contactIDs = unique(w.ids), unique(w.contactIDs)
	return w, nil
}

func (r *eventColumns) add(f fact, body []byte) {
	message := ""
	if f.Kind == "status" {
		message = sanitize(f.MessageID)
	}
	r.ids, r.kinds, r.messages = append(r.ids, f.id), append(r.kinds, sanitize(f.Kind)), append(r.messages, message)
	r.calls, r.senders, r.recipients = append(r.calls, sanitize(f.call)), append(r.senders, sanitize(f.PhoneNumberID)), append(r.recipients, sanitize(normalize(f.To)))
	r.states, r.at, r.bodies = append(r.states, int16(f.state)), append(r.at, f.at.UnixNano()), append(r.bodies, body)
}

// Apply implements Ledger. A webhook that needs no contact takes one round trip to the server,
// others two.
func (l *Postgres) Apply(ctx context.Context, told ...inbound.Notification) ([]Update, error) {
	w, err := l.webhook(told, l.now())
	if err != nil {
		return nil, err
	}
	var updates []Update
	err = l.write(ctx, "store the content of a webhook", func(ctx context.Context, a attempt) (err error) {
		updates, err = w.store(ctx, a)
		return err
	})
	if err != nil {
		return nil, err
	}
	return updates, nil
}

// An applyResult is what the statements return.
type applyResult struct {
	fresh      map[eventID]int64   // the sequence numbers of new events
	calls      map[string]string   // by message
	duplicates map[string]string   // by message
	contactIDs map[string][]string // by id
}

// store stores a webhook in one transaction.
func (w *webhook) store(ctx context.Context, a attempt) ([]Update, error) {
	found := applyResult{map[eventID]int64{}, map[string]string{}, map[string]string{}, map[string][]string{}}
	err := a.store(ctx, change{
		now: w.now, ids: w.contactIDs,
		begin: func(b *pgx.Batch) { w.queue(b, found) },
		facts: func() (facts []contactFact) {
			taken := map[eventID]bool{}
			for _, f := range w.facts {
				if seq, ok := found.fresh[f.id]; ok && f.needsContact() && !taken[f.id] {
					taken[f.id] = true
					facts = append(facts, contactFact{fact: f, event: seq})
				}
			}
			return facts
		},
		end: func(b *pgx.Batch) { w.finish(b, found) },
	})
	if err != nil {
		return nil, err
	}
	return w.updates(found), nil
}

// queue queues the statements that store events and messages, and find the messages' calls.
func (w *webhook) queue(b *pgx.Batch, found applyResult) {
	r := w.rows
	var seq int64
	var id [16]byte
	var message, call, rival string
	b.Queue(insertEvents, r.ids, r.kinds, r.messages, r.calls, r.senders, r.recipients, r.states, r.at, r.bodies, w.now.UnixNano(), int16(failed)).
		Query(forEach([]any{&seq, &id, &message, &rival}, func() {
			if found.fresh[id] = seq; rival != "" {
				found.duplicates[message] = rival
			}
		}))
	if messages := unique(slices.Clone(r.messages)); len(messages) > 0 && messages[len(messages)-1] != "" {
		b.Queue(callsOf, messages).Query(forEach([]any{&message, &call}, func() { found.calls[message] = call }))
	}
}

// finish queues the statements that read the contacts' ids, and store when the webhook came.
func (w *webhook) finish(b *pgx.Batch, found applyResult) {
	if len(w.ids) > 0 {
		queueContactIDs(b, w.ids, found.contactIDs)
	}
	var senders []string
	for _, f := range w.facts {
		if f.PhoneNumberID != "" {
			senders = append(senders, sanitize(f.PhoneNumberID))
		}
	}
	if len(senders) > 0 {
		within := int64(webhookPrecision)
		if w.exactTime {
			within = 0
		}
		b.Queue(hearSenders, unique(senders), w.now.UnixNano(), within)
	}
}

// updates combines the facts with the results.
func (w *webhook) updates(found applyResult) []Update {
	updates := make([]Update, 0, len(w.facts))
	for _, f := range w.facts {
		_, isFresh := found.fresh[f.id]
		delete(found.fresh, f.id) // a repetition in the same webhook is known
		one := Update{Notification: f.Notification, Known: !isFresh, Contact: f.people}
		if message := sanitize(f.MessageID); f.Kind == "status" && message != "" {
			one.Receipt = receiptOf(f.Notification, found.calls[message])
			if isFresh {
				one.Duplicate = found.duplicates[message]
				delete(found.duplicates, message)
			}
		}
		if i := slices.IndexFunc(f.people, func(id string) bool { return len(found.contactIDs[id]) > 0 }); i >= 0 {
			one.Contact = found.contactIDs[f.people[i]]
		}
		updates = append(updates, one)
	}
	return updates
}

// The statements that store the message of an answer: after the first the row exists, and the
// second tells whether it existed without its call before.
const (
	insertAnswered = `
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
	// Answers do not wait for the disk: a crash of the server may lose the latest ones.
	asyncCommit = "SELECT set_config('synchronous_commit', 'off', true)"
)

// RecordAnswer implements Ledger.
func (l *Postgres) RecordAnswer(ctx context.Context, answer whatsapp.Answer) ([]call.Receipt, error) {
	now := l.now()
	f := factOfAnswer(answer, now)
	f.people = sanitizeAll(f.people)
	overtaken := false
	c := change{now: now, facts: func() []contactFact { return []contactFact{{fact: f}} }}
	if f.needsContact() {
		c.ids = f.people
	}
	err := l.write(ctx, "store the outcome of a send", func(ctx context.Context, a attempt) error {
		overtaken = a.retried
		c.begin = func(b *pgx.Batch) {
			b.Queue(asyncCommit)
			if answer.MessageID == "" {
				b.Queue(releaseClaims, sanitize(answer.Call))
				return
			}
			args := []any{sanitize(answer.MessageID), sanitize(answer.Call), sanitize(answer.Sender), sanitize(normalize(answer.Recipient)), int16(stateOf(string(answer.State))), now.UnixNano()}
			b.Queue(insertAnswered, args...)
			callless := false
			b.Queue(completeMessage, args...).Query(forEach([]any{&callless}, func() { overtaken = overtaken || callless }))
		}
		return a.store(ctx, c)
	})
	if err != nil || !overtaken {
		return nil, err
	}
	return l.Receipts(ctx, time.Time{}, answer.Call)
}
