package ledger

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"facteur/actions/whatsapp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// takeClaim takes a key that nobody has claimed before: mostly it is one. It returns no
	// row where nobody has the id. It has to come after whoIs: a statement that waits until
	// contacts are joined does not see the claims that came with that.
	takeClaim = `
		WITH who AS MATERIALIZED (
			SELECT c.seq FROM aliases a JOIN contacts c ON c.seq = a.contact WHERE a.id = $1 FOR KEY SHARE OF c
		), taken AS (
			INSERT INTO claims (contact, key, call, step, at, until) SELECT seq, $2, $3, $4, $5, $6 FROM who
			WHERE NOT EXISTS (SELECT FROM claims k WHERE k.contact = seq AND k.key = $2)
			ON CONFLICT (contact, key, freed) DO NOTHING RETURNING key
		)
		SELECT EXISTS (SELECT FROM taken) FROM who`
	under       = "FROM claims k JOIN aliases a ON a.contact = k.contact"
	claimsUnder = "SELECT k.contact, k.call, k.step, k.at, k.until, k.freed <> '', k.freed = k.call " + under + " WHERE a.id = $1 AND k.key = $2 ORDER BY k.freed FOR UPDATE OF k"
	sentUnder   = "SELECT m.call, m.id, m.state " + under + " JOIN messages m ON m.call = k.call WHERE a.id = $1 AND k.key = $2 ORDER BY m.since" // mostly one of each call

	forgetClaims = "DELETE FROM claims WHERE contact = $1 AND key = $2 AND call = ANY($3)"
	freeClaim    = "UPDATE claims SET freed = '>' || call WHERE contact = $1 AND key = $2 AND call = $3"
	insertClaim  = "INSERT INTO claims (contact, key, call, step, at, until) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (contact, key, freed) DO NOTHING"
	freeClaims   = "UPDATE claims SET freed = call WHERE call = $1"
)

// errGone says that an attempt has to start again: what it was about has just changed.
var errGone = errors.New("it has just changed")

// Claim implements Ledger. It takes one round trip to the server, three for a key that
// counts already.
func (l *Postgres) Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	now := l.now()
	c.Recipient, c.Key, c.Call, c.Step = clean(key(c.Recipient)), clean(c.Key), clean(c.Call), clean(c.Step)
	var v verdict
	err = l.write(ctx, "claim a send", func(ctx context.Context, a attempt) error {
		v = verdict{}
		known, taken := false, false
		b := &pgx.Batch{}
		who := census{}
		who.queue(b, []string{c.Recipient}, false)
		b.Queue(takeClaim, c.Recipient, c.Key, c.Call, c.Step, now.UnixNano(), now.Add(c.Within).UnixNano()).Query(func(rows pgx.Rows) error {
			return every(rows, func(row pgx.Rows) error {
				known = true
				return row.Scan(&taken)
			})
		})
		err := a.send(ctx, b)
		switch {
		case err != nil:
			return err
		case !known:
			if err := makeContact(ctx, a, c.Recipient); err != nil {
				return err
			}
			return errGone // the contact is there now, and the next attempt finds it
		case taken && len(who) == 0:
			return errGone // the contact was joined meanwhile: what else was claimed may not have shown
		case taken:
			return nil
		}
		v, err = meet(ctx, a, c, now)
		return err
	})
	if err != nil {
		return "", err
	}
	return v.repeats, v.err
}

// makeContact makes one of somebody with an id that nobody has.
func makeContact(ctx context.Context, a attempt, id string) error {
	seq := rand.Int64()
	b := &pgx.Batch{}
	b.Queue(makeContacts, []int64{seq})
	b.Queue(makeAliases, []string{id}, []int64{seq})
	return a.send(ctx, b)
}

// meet decides on a key that somebody has claimed before.
func meet(ctx context.Context, a attempt, c whatsapp.Claim, now time.Time) (verdict, error) {
	var contact int64
	var all []claim
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	(census{}).queue(b, []string{c.Recipient}, false)
	b.Queue(claimsUnder, c.Recipient, c.Key).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var one claim
			var at, until int64
			err := row.Scan(&contact, &one.call, &one.step, &at, &until, &one.freed, &one.denied)
			one.at, one.until = timeOf(at), timeOf(until)
			all = append(all, one)
			return err
		})
	})
	b.Queue(sentUnder, c.Recipient, c.Key).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var call, message string
			var s int16
			err := row.Scan(&call, &message, &s)
			for i := range all {
				if all[i].call == call {
					all[i].message, all[i].state = message, state(s)
				}
			}
			return err
		})
	})
	if err := a.send(ctx, b); err != nil {
		return verdict{}, err
	}
	if len(all) == 0 {
		return verdict{}, errGone
	}
	v := judge(all, c, now)
	b = &pgx.Batch{}
	if v.take {
		b.Queue(forgetClaims, contact, c.Key, v.forget)
		b.Queue(freeClaim, contact, c.Key, v.free)
		b.Queue(insertClaim, contact, c.Key, c.Call, c.Step, now.UnixNano(), now.Add(c.Within).UnixNano()).Exec(func(done pgconn.CommandTag) error {
			if done.RowsAffected() == 0 {
				return errGone // nobody held the key, and somebody does now
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
		_, err := a.Exec(ctx, freeClaims, clean(call))
		return err
	})
}

// pruning deletes what is from before $1, so many at most, looking only at the oldest rows,
// and not at those that another is deleting.
var pruning = [...]string{
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
		for _, sql := range pruning {
			b.Queue(sql, before.UnixNano(), most).Exec(func(done pgconn.CommandTag) error {
				n += int(done.RowsAffected())
				return nil
			})
		}
		return a.send(ctx, b)
	})
	return n, err
}
