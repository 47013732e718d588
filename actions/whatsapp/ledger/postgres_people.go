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
	// lockContacts keeps contacts from being merged until the transaction ends. One that was
	// merged while the statement waited is not among the rows: its ids seem to be unknown,
	// insertAliases fails, and the next attempt finds the other contact.
	lockContacts          = "SELECT a.id, a.contact FROM aliases a JOIN contacts c ON c.seq = a.contact WHERE a.id = ANY($1) ORDER BY c.seq, a.id FOR KEY SHARE OF c"
	lockContactsExclusive = "SELECT a.id, a.contact FROM aliases a JOIN contacts c ON c.seq = a.contact WHERE a.id = ANY($1) ORDER BY c.seq, a.id FOR UPDATE OF c"
	selectContactIDs      = "SELECT a.id, b.id FROM aliases a JOIN aliases b ON b.contact = a.contact WHERE a.id = ANY($1) ORDER BY a.id, b.id"
	insertContacts        = "INSERT INTO contacts (seq) SELECT unnest($1::bigint[])"
	// insertAliases fails if another transaction has inserted one of the ids, with a division by
	// zero, because a violated key would write the id into the server's log.
	insertAliases = `
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

// joinContacts moves all that contact $2 has to contact $1.
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

// dropContact deletes the contact that was merged, and what was copied.
var dropContact = [...]string{
	"DELETE FROM windows WHERE contact = $1",
	"DELETE FROM preferences WHERE contact = $1",
	"DELETE FROM contacts WHERE seq = $1",
}

// contactsByID are the numbers of contacts, by their ids.
type contactsByID map[string]int64

// queueLookup queues the statement that finds and locks the contacts of ids.
func (c contactsByID) queueLookup(b *pgx.Batch, ids []string, exclusive bool) {
	sql := lockContacts
	if exclusive {
		sql = lockContactsExclusive
	}
	b.Queue(sql, ids).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(row pgx.Rows) error {
			var id string
			var contact int64
			err := row.Scan(&id, &contact)
			c[id] = contact
			return err
		})
	})
}

func queueContactIDs(b *pgx.Batch, ids []string, names map[string][]string) {
	b.Queue(selectContactIDs, ids).Query(func(rows pgx.Rows) error {
		return eachRow(rows, func(row pgx.Rows) error {
			var id, name string
			err := row.Scan(&id, &name)
			names[id] = append(names[id], name)
			return err
		})
	})
}

// A contactFact is a fact about a person, with the sequence number of its event, 0 for none.
type contactFact struct {
	fact
	event int64
}

// queueChanges queues the statements that store facts. Merging contacts, and dropping an id, needs
// exclusive locks: without, it returns errExclusive.
func (c contactsByID) queueChanges(b *pgx.Batch, facts []contactFact, now time.Time, exclusive bool) error {
	for len(facts) > 0 {
		d := contactChanges{windows: map[contactSender]window{}, preferences: map[contactSender]preference{}, aliases: contactsByID{}}
		n, last := d.collect(c, facts)
		if last != nil && !exclusive {
			return errExclusive
		}
		d.queue(b, now)
		if last != nil {
			last.queue(b)
			c.apply(last)
		}
		facts = facts[n:]
	}
	return nil
}

// apply updates the numbers after a merge.
func (c contactsByID) apply(by *merge) {
	for id, contact := range c {
		if slices.Contains(by.others, contact) {
			c[id] = by.contact
		}
	}
	delete(c, by.droppedID)
}

// contactChanges are the rows to write about contacts.
type contactChanges struct {
	contacts    []int64
	aliases     contactsByID
	inbound     []inboundRow
	windows     map[contactSender]window
	preferences map[contactSender]preference
}

type (
	// A contactSender is the key of rows about a contact and a sender.
	contactSender struct {
		contact int64
		sender  string
	}
	window     struct{ wrote, shut int64 }
	inboundRow struct {
		event int64
		contactSender
		at int64
	}
	// A merge moves others into a contact, and drops an id, "" for none.
	merge struct {
		contact   int64
		others    []int64
		droppedID string
	}
)

// collect adds facts, up to and including the first that merges contacts or drops an id. It returns
// how many they were, and that merge.
func (d *contactChanges) collect(c contactsByID, facts []contactFact) (int, *merge) {
	for i, f := range facts {
		var found []int64
		for _, id := range f.people {
			if contact, ok := c[id]; ok && !slices.Contains(found, contact) {
				found = append(found, contact)
			}
		}
		if len(found) == 0 {
			found = []int64{rand.Int64()}
			d.contacts = append(d.contacts, found[0])
		}
		for _, id := range f.people {
			if _, ok := c[id]; !ok {
				c[id], d.aliases[id] = found[0], found[0]
			}
		}
		d.addPerson(f, found[0])
		if len(found) > 1 || f.droppedID != "" {
			return i + 1, &merge{found[0], found[1:], f.droppedID}
		}
	}
	return len(facts), nil
}

// addPerson adds what a fact says about its person.
func (d *contactChanges) addPerson(f contactFact, contact int64) {
	at := contactSender{contact, sanitize(f.PhoneNumberID)}
	if f.Kind == "message" {
		d.inbound = append(d.inbound, inboundRow{f.event, at, f.at.UnixNano()})
	}
	w := d.windows[at]
	if f.wrote {
		w.wrote = max(w.wrote, f.at.UnixNano())
	}
	if f.shut {
		w.shut = max(w.shut, f.at.UnixNano())
	}
	if f.wrote || f.shut {
		d.windows[at] = w
	}
	if f.optedOut || f.optedIn {
		before, ok := d.preferences[at]
		if !ok || f.at.After(before.at) || f.at.Equal(before.at) && f.optedOut {
			d.preferences[at] = preference{f.optedOut, f.at}
		}
	}
}

func (d *contactChanges) queue(b *pgx.Batch, now time.Time) {
	if len(d.contacts) > 0 {
		b.Queue(insertContacts, d.contacts)
	}
	if len(d.aliases) > 0 {
		ids := slices.Sorted(maps.Keys(d.aliases))
		contacts := make([]int64, len(ids))
		for i, id := range ids {
			contacts[i] = d.aliases[id]
		}
		b.Queue(insertAliases, ids, contacts)
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
		contacts, senders := columns(d.windows)
		var wrote, shut []int64
		for i, contact := range contacts {
			w := d.windows[contactSender{contact, senders[i]}]
			wrote, shut = append(wrote, w.wrote), append(shut, w.shut)
		}
		b.Queue(upsertWindows, contacts, senders, wrote, shut)
	}
	if len(d.preferences) > 0 {
		contacts, senders := columns(d.preferences)
		var out []bool
		var at []int64
		for i, contact := range contacts {
			p := d.preferences[contactSender{contact, senders[i]}]
			out, at = append(out, p.out), append(at, p.at.UnixNano())
		}
		b.Queue(upsertPreferences, contacts, senders, out, at)
	}
}

func (c *merge) queue(b *pgx.Batch) {
	for _, other := range c.others {
		for _, sql := range joinContacts {
			b.Queue(sql, c.contact, other)
		}
		for _, sql := range dropContact {
			b.Queue(sql, other)
		}
	}
	if c.droppedID != "" {
		b.Queue(dropAlias, c.droppedID)
	}
}

// columns returns the keys of rows, sorted, as columns.
func columns[V any](rows map[contactSender]V) (contacts []int64, senders []string) {
	for _, p := range slices.SortedFunc(maps.Keys(rows), func(p, q contactSender) int {
		return cmp.Or(cmp.Compare(p.contact, q.contact), cmp.Compare(p.sender, q.sender))
	}) {
		contacts, senders = append(contacts, p.contact), append(senders, p.sender)
	}
	return contacts, senders
}
