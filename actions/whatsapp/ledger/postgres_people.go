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
	insertInbound = "INSERT INTO inbound (contact, sender, event, at, received) VALUES ($1, $2, $3, $4, $5)"
	mergeInbound  = "UPDATE inbound SET contact = $1 WHERE contact = $2"
)

// contactsByID are the numbers of contacts, by their ids.
type contactsByID map[string]int64

// queueLookup queues the statement that finds and locks the contacts of ids.
func (c contactsByID) queueLookup(b *pgx.Batch, ids []string, exclusive bool) {
	sql := lockContacts
	if exclusive {
		sql = lockContactsExclusive
	}
	var id string
	var contact int64
	b.Queue(sql, ids).Query(forEach([]any{&id, &contact}, func() { c[id] = contact }))
}

func queueContactIDs(b *pgx.Batch, ids []string, names map[string][]string) {
	var id, name string
	b.Queue(selectContactIDs, ids).Query(forEach([]any{&id, &name}, func() { names[id] = append(names[id], name) }))
}

// A contactFact is a fact about a person, with the sequence number of its event, 0 for none.
type contactFact struct {
	fact
	event   int64
	contact int64 // which it becomes part of; see contactChanges.add
}

// queueChanges queues the statements that store facts about the contacts that are known. Merging
// contacts, and dropping an id, needs exclusive locks: without, it returns errExclusive.
func (c contactsByID) queueChanges(b *pgx.Batch, facts []contactFact, now time.Time, exclusive bool) error {
	d := contactChanges{contacts: maps.Clone(c)}
	for _, f := range facts {
		d.add(f)
	}
	if !exclusive && len(d.merged)+len(d.dropped) > 0 {
		return errExclusive
	}
	d.queue(b, c, now)
	return nil
}

// contactChanges are what facts change, all of them together.
type contactChanges struct {
	contacts contactsByID // afterwards
	made     []int64
	merged   [][2]int64 // the second into the first
	dropped  []string   // ids
	facts    []contactFact
}

// add adds a fact: it finds or makes the contact, merges those that turn out to be one person, and
// drops an id.
func (d *contactChanges) add(f contactFact) {
	var found []int64
	for _, id := range f.people {
		if contact, ok := d.contacts[id]; ok && !slices.Contains(found, contact) {
			found = append(found, contact)
		}
	}
	if len(found) == 0 {
		found = []int64{rand.Int64()}
		d.made = append(d.made, found[0])
	}
	f.contact = found[0]
	d.facts = append(d.facts, f)
	for _, id := range f.people {
		d.contacts[id] = f.contact
	}
	for _, other := range found[1:] {
		d.merge(f.contact, other)
	}
	if f.droppedID != "" {
		delete(d.contacts, f.droppedID)
		d.dropped = append(d.dropped, f.droppedID)
	}
}

func (d *contactChanges) merge(contact, other int64) {
	d.merged = append(d.merged, [2]int64{contact, other})
	for id, of := range d.contacts {
		if of == other {
			d.contacts[id] = contact
		}
	}
	for i := range d.facts {
		if d.facts[i].contact == other {
			d.facts[i].contact = contact
		}
	}
}

// queue queues the statements, given the contacts before.
func (d *contactChanges) queue(b *pgx.Batch, before contactsByID, now time.Time) {
	if len(d.made) > 0 {
		b.Queue(insertContacts, d.made)
	}
	for _, id := range d.dropped {
		b.Queue(deleteAlias, id)
	}
	var ids []string
	var contacts []int64
	for _, id := range slices.Sorted(maps.Keys(d.contacts)) {
		if _, known := before[id]; !known || slices.Contains(d.dropped, id) {
			ids, contacts = append(ids, id), append(contacts, d.contacts[id])
		}
	}
	if len(ids) > 0 {
		b.Queue(insertAliases, ids, contacts)
	}
	for _, pair := range d.merged {
		for _, sql := range append(mergeContacts[:], mergeInbound) {
			b.Queue(sql, pair[0], pair[1])
		}
		for _, sql := range deleteContact {
			b.Queue(sql, pair[1])
		}
	}
	slices.SortStableFunc(d.facts, func(f, g contactFact) int { // the order of locks
		return cmp.Or(cmp.Compare(f.contact, g.contact), cmp.Compare(f.PhoneNumberID, g.PhoneNumberID))
	})
	for _, f := range d.facts {
		f.queueWindow(b, now)
	}
	for _, f := range d.facts {
		f.queuePreference(b)
	}
}

// queueWindow queues the statements that store what a fact says about its person's window.
func (f *contactFact) queueWindow(b *pgx.Batch, now time.Time) {
	sender, at := sanitize(f.PhoneNumberID), f.at.UnixNano()
	if f.Kind == "message" {
		b.Queue(insertInbound, f.contact, sender, f.event, at, now.UnixNano())
	}
	if f.wrote {
		b.Queue(upsertWindow, f.contact, sender, at, 0)
	}
	if f.shut {
		b.Queue(upsertWindow, f.contact, sender, 0, at)
	}
}

// queuePreference queues the statement that stores whether a fact's person wants marketing.
func (f *contactFact) queuePreference(b *pgx.Batch) {
	if f.optedOut || f.optedIn {
		b.Queue(upsertPreference, f.contact, sanitize(f.PhoneNumberID), f.optedOut, f.at.UnixNano())
	}
}
