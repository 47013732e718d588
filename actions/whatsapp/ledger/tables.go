package ledger

import (
	"cmp"
	"slices"
	"time"

	"facteur/actions/whatsapp"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// tables are those of the file, for the goroutine that writes. They keep what each webhook needs:
// prepared statements, and the stored times of the senders' last webhooks.
type tables struct {
	contacts                *contactFilter
	storeEvent, moveMessage sqlitefile.Statement
	lastWebhooks            map[string]time.Time // by sender

	// Of the present transaction:
	conn *sqlite.Conn
	now  time.Time
	err  error // the first; after it the methods do nothing
}

// maxSenders bounds lastWebhooks.
const maxSenders = 1000

func newTables() tables {
	return tables{
		contacts: newContactFilter(),
		// OR IGNORE, which ON CONFLICT is not, spares SQLite a copy of each page.
		storeEvent: sqlitefile.Statement{SQL: "INSERT OR IGNORE INTO events (id, kind, message, sender, contact, at, received, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		moveMessage: sqlitefile.Statement{SQL: `UPDATE messages SET at = CASE WHEN ?2 > state THEN ?3 ELSE at END, state = max(state, ?2), updated = ?4
			WHERE id = ?1 AND call = ?5 AND sender IS NOT NULL AND recipient IS NOT NULL`},
		lastWebhooks: map[string]time.Time{},
	}
}

// begin returns the tables for a transaction, at a time.
func (t *tables) begin(conn *sqlite.Conn, now time.Time) *tables {
	t.conn, t.now, t.err = conn, now, nil
	return t
}

// query runs a statement, and calls each, unless it is nil, with its rows.
func (t *tables) query(statement string, each func(row *sqlite.Stmt), args ...any) {
	if t.err == nil {
		t.err = sqlitefile.Query(t.conn, statement, each, args...)
	}
}

// exec runs a prepared statement once bind has bound its parameters, and returns how many rows it
// changed.
func (t *tables) exec(s *sqlitefile.Statement, bind func(q *sqlite.Stmt)) int {
	if t.err == nil {
		t.err = s.Exec(t.conn, bind)
	}
	return t.changes()
}

// changes returns how many rows the latest statement changed.
func (t *tables) changes() int {
	if t.err != nil {
		return 0
	}
	return t.conn.Changes()
}

// nullable is a text, nil (NULL) for an empty one.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// recordWebhook stores that a webhook of a sender came now. Unless exactly is set, it does nothing if
// the stored time is not older than webhookPrecision: all webhooks of a sender write the same row.
func (t *tables) recordWebhook(sender string, exactly bool) {
	if last, ok := t.lastWebhooks[sender]; ok && !exactly && t.now.Sub(last) < webhookPrecision {
		return
	}
	if len(t.lastWebhooks) >= maxSenders {
		clear(t.lastWebhooks)
	}
	t.lastWebhooks[sender] = t.now
	t.query(`INSERT INTO senders (sender, heard) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET heard = max(heard, excluded.heard)`, nil, sender, t.now.UnixNano())
}

// apply stores a fact, unless it is known. For a status it also finds the call.
func (t *tables) apply(e *sealedFact) Update {
	if e.PhoneNumberID != "" {
		t.recordWebhook(e.PhoneNumberID, e.shut || e.optedOut || e.optedIn)
	}
	u := Update{Notification: e.Notification}
	contact := int64(0)
	if e.needsContact() { // which a known event must not make, and the row of a message names
		t.query("SELECT 1 FROM events WHERE id = ?", func(*sqlite.Stmt) { u.Known = true }, e.id[:])
		if !u.Known {
			contact = t.setPerson(&e.fact)
		}
	}
	if !u.Known {
		u.Known = !t.insertEvent(e, contact)
	}
	if e.Kind == "status" && e.MessageID != "" {
		e.call, u.Duplicate = t.applyStatus(e, u.Known)
	}
	u.Contact = t.contactIDs(e.people)
	return u
}

// insertEvent stores a fact, and reports whether it is new, in one statement.
func (t *tables) insertEvent(e *sealedFact, contact int64) (fresh bool) {
	return t.exec(&t.storeEvent, func(q *sqlite.Stmt) {
		message := ""
		if e.Kind == "status" {
			message = e.MessageID
		}
		q.BindBytes(1, e.id[:])
		q.BindText(2, e.Kind)
		bindText(q, 3, message)
		bindText(q, 4, e.PhoneNumberID)
		q.BindNull(5)
		if e.Kind == "message" && contact != 0 {
			q.BindInt64(5, contact)
		}
		q.BindInt64(6, e.at.UnixNano())
		q.BindInt64(7, t.now.UnixNano())
		q.BindBytes(8, e.body)
	}) > 0
}

// applyStatus stores what a status says of its message, unless it is known, and returns the key of
// the call that sent it, "" for none, and Update.Duplicate.
func (t *tables) applyStatus(e *sealedFact, known bool) (call, duplicate string) {
	if known {
		t.query("SELECT call FROM messages WHERE id = ?", func(row *sqlite.Stmt) { call = row.ColumnText(0) }, e.MessageID)
		return call, ""
	}
	call, fresh := t.setMessage(e.MessageID, e.call, e.PhoneNumberID, normalize(e.To), e.state, e.at)
	if fresh && call != "" && e.state != failed {
		duplicate = t.duplicateOf(call)
	}
	return call, duplicate
}

// setMessage stores the state of a message, and returns the key of the call that sent it, and
// whether the message is new.
// Nearly always the other columns are known already, and equal: then it takes one statement, which
// touches no index. RETURNING would make SQLite open a statement journal, which costs more than
// the SELECT before.
func (t *tables) setMessage(id, call, sender, recipient string, s state, at time.Time) (of string, fresh bool) {
	if call != "" && t.exec(&t.moveMessage, func(q *sqlite.Stmt) {
		q.BindText(1, id)
		q.BindInt64(2, int64(s))
		q.BindInt64(3, at.UnixNano())
		q.BindInt64(4, t.now.UnixNano())
		q.BindText(5, call)
	}) > 0 {
		return call, false
	}
	fresh = true
	t.query("SELECT coalesce(call, '') FROM messages WHERE id = ?", func(row *sqlite.Stmt) { of, fresh = row.ColumnText(0), false }, id)
	t.query(`INSERT INTO messages (id, call, sender, recipient, state, at, updated) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			call = coalesce(call, excluded.call),
			sender = coalesce(sender, excluded.sender),
			recipient = coalesce(recipient, excluded.recipient),
			at = CASE WHEN excluded.state > state THEN excluded.at ELSE at END,
			state = max(state, excluded.state),
			updated = excluded.updated`, nil,
		id, nullable(call), nullable(sender), nullable(recipient), int64(s), at.UnixNano(), t.now.UnixNano())
	return cmp.Or(of, call), fresh
}

// setPerson stores what a fact says about its person, and returns the number of the contact.
func (t *tables) setPerson(f *fact) int64 {
	contact := t.contact(f.people)
	if f.droppedID != "" {
		t.query(deleteAlias, nil, f.droppedID)
	}
	if f.wrote {
		t.query(upsertWindow, nil, contact, f.PhoneNumberID, f.at.UnixNano(), 0)
	}
	if f.shut {
		t.query(upsertWindow, nil, contact, f.PhoneNumberID, 0, f.at.UnixNano())
	}
	if f.optedOut || f.optedIn {
		t.query(upsertPreference, nil, contact, f.PhoneNumberID, f.optedOut, f.at.UnixNano())
	}
	return contact
}

// contact returns the number of the contact with the ids, which it makes if there is none, and
// merges those that turn out to be one person.
func (t *tables) contact(ids []string) int64 {
	var found []int64
	var missing []string
	for _, id := range ids {
		seq := int64(0)
		t.query("SELECT contact FROM aliases WHERE id = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, id)
		switch {
		case seq == 0:
			missing = append(missing, id)
		case !slices.Contains(found, seq):
			found = append(found, seq)
		}
	}
	if len(found) == 0 {
		t.query("INSERT INTO contacts DEFAULT VALUES", nil)
		found = append(found, t.conn.LastInsertRowID())
	}
	for _, id := range missing {
		t.contacts.add(id)
		t.query("INSERT INTO aliases (id, contact) VALUES (?, ?)", nil, id, found[0])
	}
	for _, other := range found[1:] {
		for _, statement := range append(mergeContacts[:], "UPDATE events SET contact = $1 WHERE contact = $2") {
			t.query(statement, nil, found[0], other)
		}
		for _, statement := range deleteContact {
			t.query(statement, nil, other)
		}
	}
	return found[0]
}

// contactIDs returns all ids of the person who has one of these, sorted.
func (t *tables) contactIDs(ids []string) (names []string) {
	for _, id := range ids {
		t.query("SELECT b.id FROM aliases a JOIN aliases b ON b.contact = a.contact WHERE a.id = ? ORDER BY b.id",
			func(row *sqlite.Stmt) { names = append(names, row.ColumnText(0)) }, id)
		if len(names) > 0 {
			return names
		}
	}
	return ids
}

// claims returns a contact's claims of a key.
func (t *tables) claims(contact int64, key string) (all []claim) {
	t.query(`SELECT c.call, step, c.at, until, freed <> '', freed = c.call, m.id, m.state
		FROM claims AS c LEFT JOIN messages AS m ON m.seq = (SELECT max(seq) FROM messages WHERE call = c.call)
		WHERE contact = ? AND key = ?`, func(row *sqlite.Stmt) {
		all = append(all, claim{
			call: row.ColumnText(0), step: row.ColumnText(1), at: sqlitefile.Time(row, 2), until: sqlitefile.Time(row, 3),
			freed: row.ColumnBool(4), denied: row.ColumnBool(5), message: row.ColumnText(6), state: state(row.ColumnInt64(7)),
		})
	}, contact, key)
	return all
}

// takeClaim stores a claim that gets the key, and what the decision says about others.
func (t *tables) takeClaim(contact int64, c whatsapp.Claim, v decision) {
	for _, call := range v.drop {
		t.query("DELETE FROM claims WHERE contact = ? AND key = ? AND call = ?", nil, contact, c.Key, call)
	}
	if v.free != "" {
		t.query(passClaimOn, nil, contact, c.Key, v.free)
	}
	t.query("INSERT INTO claims (contact, key, call, step, at, until) VALUES (?, ?, ?, ?, ?, ?)", nil,
		contact, c.Key, c.Call, c.Step, t.now.UnixNano(), t.now.Add(c.Within).UnixNano())
}

// duplicateOf returns the call that holds a key that a call released, "" for none.
func (t *tables) duplicateOf(call string) (holder string) {
	t.query(`SELECT coalesce(min(held.call), '') FROM claims AS gone JOIN claims AS held USING (contact, key)
		WHERE gone.call = ? AND gone.freed <> '' AND held.freed = ''`, func(row *sqlite.Stmt) { holder = row.ColumnText(0) }, call)
	return holder
}

// recordAnswer stores an answer, and reports whether a webhook about its message came first.
func (t *tables) recordAnswer(a whatsapp.Answer) (overtaken bool) {
	if a.MessageID == "" {
		t.query(releaseClaims, nil, a.Call)
	} else {
		overtaken = t.insertMessage(a)
	}
	if f := factOfAnswer(a, t.now); f.needsContact() {
		t.setPerson(&f)
	}
	return overtaken
}

// insertMessage stores the message of an answer, and tells whether a webhook has made it known
// before the answer said whose it is. Nearly always it is new.
func (t *tables) insertMessage(a whatsapp.Answer) (overtaken bool) {
	s, to := stateOf(string(a.State)), normalize(a.Recipient)
	t.query("INSERT INTO messages (id, call, sender, recipient, state, at, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (id) DO NOTHING", nil,
		a.MessageID, nullable(a.Call), nullable(a.Sender), nullable(to), int64(s), t.now.UnixNano())
	if t.changes() > 0 {
		return false
	}
	t.query("SELECT call IS NULL FROM messages WHERE id = ?", func(row *sqlite.Stmt) { overtaken = row.ColumnBool(0) }, a.MessageID)
	t.setMessage(a.MessageID, a.Call, a.Sender, to, s, t.now)
	return overtaken
}

// prune deletes old rows, and returns how many. It only reads the oldest ones.
func (t *tables) prune(before time.Time, most int) (n int) {
	for _, statement := range [...]string{
		"DELETE FROM claims WHERE (contact, key, freed) IN (SELECT contact, key, freed FROM claims WHERE until < ?1 AND at < ?1 ORDER BY until LIMIT ?2)",
		"DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?2) AND received < ?1",
		`DELETE FROM messages WHERE seq IN (SELECT seq FROM messages ORDER BY seq LIMIT ?2) AND updated < ?1
			AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.call = messages.call)`,
	} {
		t.query(statement, nil, before.UnixNano(), most)
		n += t.changes()
	}
	return n
}
