package ledger

import (
	"cmp"
	"context"
	"errors"
	"time"

	"facteur/actions/whatsapp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// takeClaim claims a key that was not claimed before, which is the usual case. It returns
	// no row if there is no contact with the id. It has to come after lockContacts: a statement
	// that waits until contacts are merged does not see the claims that were moved by that.
	takeClaim = `
		WITH who AS MATERIALIZED (
			SELECT c.seq FROM aliases a JOIN contacts c ON c.seq = a.contact WHERE a.id = $1 FOR KEY SHARE OF c
		), taken AS (
			INSERT INTO claims (contact, key, call, step, at, until) SELECT seq, $2, $3, $4, $5, $6 FROM who
			WHERE NOT EXISTS (SELECT FROM claims k WHERE k.contact = seq AND k.key = $2)
			ON CONFLICT (contact, key, freed) DO NOTHING RETURNING key
		)
		SELECT EXISTS (SELECT FROM taken) FROM who`
	claimsOfContact     = "FROM claims k JOIN aliases a ON a.contact = k.contact"
	selectClaims        = "SELECT k.contact, k.call, k.step, k.at, k.until, k.freed <> '', k.freed = k.call " + claimsOfContact + " WHERE a.id = $1 AND k.key = $2 ORDER BY k.freed FOR UPDATE OF k"
	selectClaimMessages = "SELECT m.call, m.id, m.state " + claimsOfContact + " JOIN messages m ON m.call = k.call WHERE a.id = $1 AND k.key = $2 ORDER BY m.since" // mostly one of each call

	forgetClaims = "DELETE FROM claims WHERE contact = $1 AND key = $2 AND call = ANY($3)"
	insertClaim  = "INSERT INTO claims (contact, key, call, step, at, until) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (contact, key, freed) DO NOTHING"
)

// errChanged says that an attempt has to be repeated, because another transaction was faster.
var errChanged = errors.New("it has just changed")

// Claim implements Ledger. It takes one round trip to the server, three for a key that was claimed
// before.
func (l *Postgres) Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	now := l.now()
	c.Recipient, c.Key, c.Call, c.Step = sanitize(normalize(c.Recipient)), sanitize(c.Key), sanitize(c.Call), sanitize(c.Step)
	var v decision
	err = l.write(ctx, "claim a send", func(ctx context.Context, a attempt) error {
		v = decision{}
		known, taken := false, false
		b := &pgx.Batch{}
		contacts := contactsByID{}
		contacts.queueLookup(b, []string{c.Recipient}, false)
		b.Queue(takeClaim, c.Recipient, c.Key, c.Call, c.Step, now.UnixNano(), now.Add(c.Within).UnixNano()).
			Query(forEach([]any{&taken}, func() { known = true }))
		err := a.send(ctx, b)
		switch {
		case err != nil:
			return err
		case !known:
			b := &pgx.Batch{}
			if err := contacts.queueChanges(b, []contactFact{{fact: fact{people: []string{c.Recipient}}}}, now, false); err != nil {
				return err
			}
			return cmp.Or(a.send(ctx, b), errChanged) // the contact is there now, and the next attempt finds it
		case taken && len(contacts) == 0:
			return errChanged // the contact was merged meanwhile: other claims may not have been visible
		case taken:
			return nil
		}
		v, err = claimExisting(ctx, a, c, now)
		return err
	})
	if err != nil {
		return "", err
	}
	return v.repeats, v.err
}

// claimExisting decides on a key that was claimed before.
func claimExisting(ctx context.Context, a attempt, c whatsapp.Claim, now time.Time) (decision, error) {
	var contact int64
	var all []claim
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	(contactsByID{}).queueLookup(b, []string{c.Recipient}, false)
	var one claim
	var at, until, s int64
	b.Queue(selectClaims, c.Recipient, c.Key).
		Query(forEach([]any{&contact, &one.call, &one.step, &at, &until, &one.freed, &one.denied}, func() {
			one.at, one.until = timeOf(at), timeOf(until)
			all = append(all, one)
		}))
	var by, message string
	b.Queue(selectClaimMessages, c.Recipient, c.Key).Query(forEach([]any{&by, &message, &s}, func() {
		for i := range all {
			if all[i].call == by {
				all[i].message, all[i].state = message, state(s)
			}
		}
	}))
	if err := a.send(ctx, b); err != nil {
		return decision{}, err
	}
	if len(all) == 0 {
		return decision{}, errChanged
	}
	v := decide(all, c, now)
	b = &pgx.Batch{}
	if v.take {
		b.Queue(forgetClaims, contact, c.Key, v.drop)
		b.Queue(passClaimOn, contact, c.Key, v.free)
		b.Queue(insertClaim, contact, c.Key, c.Call, c.Step, now.UnixNano(), now.Add(c.Within).UnixNano()).Exec(func(done pgconn.CommandTag) error {
			if done.RowsAffected() == 0 {
				return errChanged // another call has just claimed the key
			}
			return nil
		})
	}
	b.Queue("COMMIT")
	return v, a.send(ctx, b)
}

// Release implements Ledger.
func (l *Postgres) Release(ctx context.Context, call string) error {
	return l.write(ctx, "release a claim", func(ctx context.Context, a attempt) error {
		_, err := a.Exec(ctx, releaseClaims, sanitize(call))
		return err
	})
}

// pruneStatements delete rows from before $1, at most $2. They only read the oldest rows, and skip
// those that another daemon is deleting.
var pruneStatements = [...]string{
	`DELETE FROM claims WHERE (contact, key, freed) IN (
		SELECT contact, key, freed FROM claims WHERE until < $1 AND at < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)`,
	`DELETE FROM events WHERE seq IN (
		SELECT seq FROM (SELECT seq, received FROM events ORDER BY seq LIMIT $2) AS oldest WHERE received < $1)`,
	`DELETE FROM messages WHERE id IN (
		SELECT id FROM messages WHERE since < $1 AND updated < $1
			AND NOT EXISTS (SELECT FROM claims WHERE claims.call = messages.call)
		ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED)`,
}

// Prune implements Ledger. Several daemons may do it at the same time.
func (l *Postgres) Prune(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = l.write(ctx, "prune it", func(ctx context.Context, a attempt) error {
		n = 0
		b := &pgx.Batch{}
		for _, sql := range pruneStatements {
			b.Queue(sql, before.UnixNano(), most).Exec(func(done pgconn.CommandTag) error {
				n += int(done.RowsAffected())
				return nil
			})
		}
		return a.send(ctx, b)
	})
	return n, err
}
