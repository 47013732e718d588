package ledger

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// whoIs keeps contacts from being joined until the transaction ends. One that was
	// joined while it waited is not among the rows: its ids seem to be nobody's, making
	// them somebody's fails, and the next attempt finds whose they are.
	whoIs        = "SELECT a.id, a.contact FROM aliases a JOIN contacts c ON c.seq = a.contact WHERE a.id = ANY($1) ORDER BY c.seq, a.id FOR KEY SHARE OF c"
	whoIsAlone   = "SELECT a.id, a.contact FROM aliases a JOIN contacts c ON c.seq = a.contact WHERE a.id = ANY($1) ORDER BY c.seq, a.id FOR UPDATE OF c"
	namesOf      = "SELECT a.id, b.id FROM aliases a JOIN aliases b ON b.contact = a.contact WHERE a.id = ANY($1) ORDER BY a.id, b.id"
	makeContacts = "INSERT INTO contacts (seq) SELECT unnest($1::bigint[])"
	// Where somebody else has made one of the ids, it fails: on purpose with an error that
	// names nobody, because the server's log keeps it.
	makeAliases = `
		WITH made AS (
			INSERT INTO aliases (id, contact) SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT (id) DO NOTHING RETURNING id
		)
		SELECT 1 / (count(*) = cardinality($1::text[]))::integer FROM made`
	dropAlias = "DELETE FROM aliases WHERE id = $1"

	insertInbound = "INSERT INTO inbound (event, contact, sender, at, received) SELECT *, $5::bigint FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])"
	upsertWindows = `
		INSERT INTO windows AS w (contact, sender, wrote, shut)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
		ON CONFLICT (contact, sender) DO UPDATE SET wrote = greatest(w.wrote, excluded.wrote), shut = greatest(w.shut, excluded.shut)`
	upsertPreferences = `
		INSERT INTO preferences AS p (contact, sender, out, at)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[])
		ON CONFLICT (contact, sender) DO UPDATE SET out = excluded.out, at = excluded.at
		WHERE excluded.at > p.at OR excluded.at = p.at AND excluded.out`
)

// Contact $1 gets all that contact $2 has …
var joinContacts = [...]string{
	"UPDATE aliases SET contact = $1 WHERE contact = $2",
	"UPDATE inbound SET contact = $1 WHERE contact = $2",
	`INSERT INTO windows AS w (contact, sender, wrote, shut) SELECT $1, sender, wrote, shut FROM windows WHERE contact = $2
		ON CONFLICT (contact, sender) DO UPDATE SET wrote = greatest(w.wrote, excluded.wrote), shut = greatest(w.shut, excluded.shut)`,
	`INSERT INTO preferences AS p (contact, sender, out, at) SELECT $1, sender, out, at FROM preferences WHERE contact = $2
		ON CONFLICT (contact, sender) DO UPDATE SET out = excluded.out, at = excluded.at
		WHERE excluded.at > p.at OR excluded.at = p.at AND excluded.out`,
	// Of two claims by one call the later stays, and the later holds the key. A claim moves
	// as it is: whoever is about to release it finds it.
	`DELETE FROM claims AS lost USING claims AS kept WHERE lost.key = kept.key AND lost.call = kept.call AND lost.contact <> kept.contact
		AND lost.contact IN ($1, $2) AND kept.contact IN ($1, $2)
		AND (lost.at < kept.at OR lost.at = kept.at AND lost.contact = $2)`,
	`UPDATE claims AS gone SET freed = '>' || gone.call FROM claims AS held WHERE gone.key = held.key AND gone.contact <> held.contact
		AND gone.contact IN ($1, $2) AND held.contact IN ($1, $2) AND gone.freed = '' AND held.freed = ''
		AND (gone.at < held.at OR gone.at = held.at AND gone.contact = $2)`,
	"UPDATE claims SET contact = $1 WHERE contact = $2",
}

// … and is gone.
var dropContact = [...]string{
	"DELETE FROM windows WHERE contact = $1",
	"DELETE FROM preferences WHERE contact = $1",
	"DELETE FROM contacts WHERE seq = $1",
}

// A census tells whose an id is: contacts by id.
type census map[string]int64

// queue asks for ids.
func (c census) queue(b *pgx.Batch, ids []string, exclusive bool) {
	sql := whoIs
	if exclusive {
		sql = whoIsAlone
	}
	b.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var id string
			var contact int64
			err := row.Scan(&id, &contact)
			c[id] = contact
			return err
		})
	})
}

func queueNames(b *pgx.Batch, ids []string, names map[string][]string) {
	b.Queue(namesOf, ids).Query(func(rows pgx.Rows) error {
		return every(rows, func(row pgx.Rows) error {
			var id, name string
			err := row.Scan(&id, &name)
			names[id] = append(names[id], name)
			return err
		})
	})
}

// An act is a fact about a person, with its place among the events, where it is one.
type act struct {
	fact
	event int64
}

// store queues what acts change. Where contacts are joined, or lose an id, it has to be
// alone with them: otherwise it returns errExclusive.
func (c census) store(b *pgx.Batch, acts []act, now time.Time, exclusive bool) error {
	for len(acts) > 0 {
		d := deeds{windows: map[place]window{}, preferences: map[place]preference{}, aliases: census{}}
		n, last := d.take(c, acts)
		if last != nil && !exclusive {
			return errExclusive
		}
		d.queue(b, now)
		if last != nil {
			last.queue(b)
			c.change(last)
		}
		acts = acts[n:]
	}
	return nil
}

// change notes whose ids are by then.
func (c census) change(by *change) {
	for id, contact := range c {
		if slices.Contains(by.join, contact) {
			c[id] = by.contact
		}
	}
	delete(c, by.left)
}

// Deeds are changes to what is known of people.
type deeds struct {
	contacts    []int64
	aliases     census
	inbound     []arrival
	windows     map[place]window
	preferences map[place]preference
}

type (
	// A place is where it is kept what holds between a contact and a sender.
	place struct {
		contact int64
		sender  string
	}
	window  struct{ wrote, shut int64 }
	arrival struct {
		event int64
		place
		at int64
	}
	// A change is one after which ids are another's.
	change struct {
		contact int64
		join    []int64
		left    string
	}
)

// take takes in acts, up to one that changes whose ids are, which it returns with how many
// they were.
func (d *deeds) take(c census, acts []act) (int, *change) {
	for i, act := range acts {
		var found []int64
		for _, id := range act.people {
			if contact, ok := c[id]; ok && !slices.Contains(found, contact) {
				found = append(found, contact)
			}
		}
		if len(found) == 0 {
			found = []int64{rand.Int64()}
			d.contacts = append(d.contacts, found[0])
		}
		for _, id := range act.people {
			if _, ok := c[id]; !ok {
				c[id], d.aliases[id] = found[0], found[0]
			}
		}
		d.person(act, found[0])
		if len(found) > 1 || act.left != "" {
			return i + 1, &change{found[0], found[1:], act.left}
		}
	}
	return len(acts), nil
}

// person notes what an act says about its person.
func (d *deeds) person(act act, contact int64) {
	at := place{contact, clean(act.PhoneNumberID)}
	if act.Kind == "message" {
		d.inbound = append(d.inbound, arrival{act.event, at, act.at.UnixNano()})
	}
	w := d.windows[at]
	if act.wrote {
		w.wrote = max(w.wrote, act.at.UnixNano())
	}
	if act.shut {
		w.shut = max(w.shut, act.at.UnixNano())
	}
	if act.wrote || act.shut {
		d.windows[at] = w
	}
	if act.optedOut || act.optedIn {
		before, ok := d.preferences[at]
		if !ok || act.at.After(before.at) || act.at.Equal(before.at) && act.optedOut {
			d.preferences[at] = preference{act.optedOut, act.at}
		}
	}
}

func (d *deeds) queue(b *pgx.Batch, now time.Time) {
	if len(d.contacts) > 0 {
		b.Queue(makeContacts, d.contacts)
	}
	if len(d.aliases) > 0 {
		ids := slices.Sorted(maps.Keys(d.aliases))
		contacts := make([]int64, len(ids))
		for i, id := range ids {
			contacts[i] = d.aliases[id]
		}
		b.Queue(makeAliases, ids, contacts)
	}
	if len(d.inbound) > 0 {
		var events, contacts, at []int64
		var senders []string
		for _, in := range d.inbound {
			events, contacts, senders, at = append(events, in.event), append(contacts, in.contact), append(senders, in.sender), append(at, in.at)
		}
		b.Queue(insertInbound, events, contacts, senders, at, now.UnixNano())
	}
	if len(d.windows) > 0 {
		contacts, senders := places(d.windows)
		var wrote, shut []int64
		for i, contact := range contacts {
			w := d.windows[place{contact, senders[i]}]
			wrote, shut = append(wrote, w.wrote), append(shut, w.shut)
		}
		b.Queue(upsertWindows, contacts, senders, wrote, shut)
	}
	if len(d.preferences) > 0 {
		contacts, senders := places(d.preferences)
		var out []bool
		var at []int64
		for i, contact := range contacts {
			p := d.preferences[place{contact, senders[i]}]
			out, at = append(out, p.out), append(at, p.at.UnixNano())
		}
		b.Queue(upsertPreferences, contacts, senders, out, at)
	}
}

func (c *change) queue(b *pgx.Batch) {
	for _, other := range c.join {
		for _, sql := range joinContacts {
			b.Queue(sql, c.contact, other)
		}
		for _, sql := range dropContact {
			b.Queue(sql, other)
		}
	}
	if c.left != "" {
		b.Queue(dropAlias, c.left)
	}
}

// places are the keys of rows, sorted, in columns.
func places[V any](rows map[place]V) (contacts []int64, senders []string) {
	for _, p := range slices.SortedFunc(maps.Keys(rows), func(p, q place) int {
		return cmp.Or(cmp.Compare(p.contact, q.contact), cmp.Compare(p.sender, q.sender))
	}) {
		contacts, senders = append(contacts, p.contact), append(senders, p.sender)
	}
	return contacts, senders
}
