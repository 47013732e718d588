package ledger

import (
	"cmp"
	"slices"
	"time"

	"facteur/actions/whatsapp"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// tables are those of the file, within one transaction.
type tables struct {
	conn     *sqlite.Conn
	now      time.Time
	contacts *contactFilter
	cache    *writerCache // only in the goroutine that writes
}

// A writerCache holds what each webhook needs: prepared statements, and the stored times of the
// senders' last webhooks. Only the goroutine that writes uses it.
type writerCache struct {
	insertEvent, moveMessage sqlitefile.Statement

	lastWebhooks map[string]time.Time
}

// maxSenders bounds lastWebhooks.
const maxSenders = 1000

func newWriterCache() *writerCache {
	return &writerCache{
		// OR IGNORE, which ON CONFLICT is not, spares SQLite a copy of each page.
		insertEvent: sqlitefile.Statement{SQL: "INSERT OR IGNORE INTO events (id, kind, message, sender, contact, at, received, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		moveMessage: sqlitefile.Statement{SQL: `UPDATE messages SET at = CASE WHEN ?2 > state THEN ?3 ELSE at END, state = max(state, ?2), updated = ?4
			WHERE id = ?1 AND call = ?5 AND sender IS NOT NULL AND recipient IS NOT NULL`},
		lastWebhooks: map[string]time.Time{},
	}
}

func (t tables) query(statement string, each func(row *sqlite.Stmt), args ...any) error {
	return sqlitefile.Query(t.conn, statement, each, args...)
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
func (t tables) recordWebhook(sender string, exactly bool) error {
	if last, ok := t.cache.lastWebhooks[sender]; ok && !exactly && t.now.Sub(last) < webhookPrecision {
		return nil
	}
	if len(t.cache.lastWebhooks) >= maxSenders {
		clear(t.cache.lastWebhooks)
	}
	t.cache.lastWebhooks[sender] = t.now
	return t.query(`INSERT INTO senders (sender, heard) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET heard = max(heard, excluded.heard)`, nil, sender, t.now.UnixNano())
}

// apply stores a fact, unless it is known. For a status it also finds the call.
func (t tables) apply(e *sealedFact) (u Update, err error) {
	u.Notification = e.Notification
	contact := int64(0)
	if e.needsContact() {
		// A known event must not make a contact.
		if err := t.query("SELECT 1 FROM events WHERE id = ?", func(*sqlite.Stmt) { u.Known = true }, e.id[:]); err != nil {
			return u, err
		}
		if !u.Known && e.Kind == "message" { // its row names the contact
			if contact, err = t.contactOf(e.fact); err != nil {
				return u, err
			}
		}
	}
	if !u.Known {
		fresh, err := t.insertEvent(e, contact)
		if err != nil {
			return u, err
		}
		u.Known = !fresh
	}
	if e.Kind == "status" && e.MessageID != "" {
		if e.call, u.Duplicate, err = t.applyStatus(e, u.Known); err != nil {
			return u, err
		}
	}
	if !u.Known && e.needsContact() {
		if contact == 0 {
			if contact, err = t.contactOf(e.fact); err != nil {
				return u, err
			}
		}
		if err := t.setPerson(contact, e.fact); err != nil {
			return u, err
		}
	}
	u.Contact, err = t.contactIDs(e.people)
	return u, err
}

// contactOf returns the number of a fact's contact, which it makes if need be.
func (t tables) contactOf(f fact) (int64, error) {
	contact, err := t.contact(f.people, true)
	if err == nil && f.droppedID != "" {
		err = t.query("DELETE FROM aliases WHERE id = ?", nil, f.droppedID)
	}
	return contact, err
}

// insertEvent stores a fact, and reports whether it is new, in one statement.
func (t tables) insertEvent(e *sealedFact, contact int64) (fresh bool, err error) {
	q, err := t.cache.insertEvent.Prepare(t.conn)
	if err != nil {
		return false, err
	}
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
	err = sqlitefile.Exec(q)
	return t.conn.Changes() > 0, err
}

// applyStatus stores what a status says of its message, unless it is known, and returns the key of
// the call that sent it, "" for none, and Update.Duplicate.
func (t tables) applyStatus(e *sealedFact, known bool) (call, duplicate string, err error) {
	if known {
		err = t.query("SELECT call FROM messages WHERE id = ?", func(row *sqlite.Stmt) { call = row.ColumnText(0) }, e.MessageID)
		return call, "", err
	}
	call, fresh, err := t.setMessage(e.MessageID, e.call, e.PhoneNumberID, normalize(e.To), e.state, e.at)
	if err == nil && fresh && call != "" && e.state != failed {
		duplicate, err = t.duplicateOf(call)
	}
	return call, duplicate, err
}

// setMessage stores the state of a message, and returns the key of the call that sent it, and
// whether the message is new.
// Nearly always the other columns are known already, and equal: then it takes one statement, which
// touches no index. RETURNING would make SQLite open a statement journal, which costs more than
// the SELECT before.
func (t tables) setMessage(id, call, sender, recipient string, s state, at time.Time) (of string, fresh bool, err error) {
	if call != "" {
		q, err := t.cache.moveMessage.Prepare(t.conn)
		if err != nil {
			return "", false, err
		}
		q.BindText(1, id)
		q.BindInt64(2, int64(s))
		q.BindInt64(3, at.UnixNano())
		q.BindInt64(4, t.now.UnixNano())
		q.BindText(5, call)
		if err := sqlitefile.Exec(q); err != nil || t.conn.Changes() > 0 {
			return call, false, err
		}
	}
	fresh = true
	err = t.query("SELECT coalesce(call, '') FROM messages WHERE id = ?", func(row *sqlite.Stmt) { of, fresh = row.ColumnText(0), false }, id)
	if err != nil {
		return "", false, err
	}
	return cmp.Or(of, call), fresh, t.query(`INSERT INTO messages (id, call, sender, recipient, state, at, updated) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			call = coalesce(call, excluded.call),
			sender = coalesce(sender, excluded.sender),
			recipient = coalesce(recipient, excluded.recipient),
			at = CASE WHEN excluded.state > state THEN excluded.at ELSE at END,
			state = max(state, excluded.state),
			updated = excluded.updated`, nil,
		id, nullable(call), nullable(sender), nullable(recipient), int64(s), at.UnixNano(), t.now.UnixNano())
}

// setPerson stores what a fact says about its person.
func (t tables) setPerson(contact int64, f fact) error {
	if f.wrote {
		if err := t.setWindow(contact, f.PhoneNumberID, "wrote", f.at); err != nil {
			return err
		}
	}
	if f.shut {
		if err := t.setWindow(contact, f.PhoneNumberID, "shut", f.at); err != nil {
			return err
		}
	}
	if f.optedOut || f.optedIn {
		return t.setPreference(contact, f.PhoneNumberID, f.optedOut, f.at)
	}
	return nil
}

// setWindow stores when a contact wrote, or when Meta said that the window is shut.
func (t tables) setWindow(contact int64, sender, column string, at time.Time) error {
	return t.query("INSERT INTO windows (contact, sender, "+column+") VALUES (?, ?, ?)"+
		" ON CONFLICT DO UPDATE SET "+column+" = max("+column+", excluded."+column+")", nil, contact, sender, at.UnixNano())
}

// setPreference stores whether a contact has opted out of marketing: the latest counts, and of two
// at the same time the opt-out.
func (t tables) setPreference(contact int64, sender string, out bool, at time.Time) error {
	return t.query(`INSERT INTO preferences (contact, sender, out, at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET out = excluded.out, at = excluded.at
		WHERE excluded.at > at OR excluded.at = at AND excluded.out > out`, nil, contact, sender, out, at.UnixNano())
}

// contact returns the number of the contact with the ids, and merges those that turn out to be one
// person. If there is none, it makes one, or returns 0 if make is not set.
func (t tables) contact(ids []string, make bool) (int64, error) {
	var found []int64
	var missing []string
	for _, id := range ids {
		seq := int64(0)
		err := t.query("SELECT contact FROM aliases WHERE id = ?", func(row *sqlite.Stmt) { seq = row.ColumnInt64(0) }, id)
		switch {
		case err != nil:
			return 0, err
		case seq == 0:
			missing = append(missing, id)
		case !slices.Contains(found, seq):
			found = append(found, seq)
		}
	}
	if !make {
		return slices.Max(append(found, 0)), nil
	}
	if len(found) == 0 {
		if err := t.query("INSERT INTO contacts DEFAULT VALUES", nil); err != nil {
			return 0, err
		}
		found = append(found, t.conn.LastInsertRowID())
	}
	for _, id := range missing {
		t.contacts.add(id)
		if err := t.query("INSERT INTO aliases (id, contact) VALUES (?, ?)", nil, id, found[0]); err != nil {
			return 0, err
		}
	}
	for _, other := range found[1:] {
		if err := t.mergeContacts(found[0], other); err != nil {
			return 0, err
		}
	}
	return found[0], nil
}

// mergeContacts moves all that another contact has to a contact.
func (t tables) mergeContacts(contact, other int64) error {
	for _, statement := range [...]string{
		"UPDATE aliases SET contact = ? WHERE contact = ?",
		"UPDATE events SET contact = ? WHERE contact = ?",
		`INSERT INTO windows (contact, sender, wrote, shut) SELECT ?, sender, wrote, shut FROM windows WHERE contact = ?
			ON CONFLICT DO UPDATE SET wrote = max(wrote, excluded.wrote), shut = max(shut, excluded.shut)`,
		`INSERT INTO preferences (contact, sender, out, at) SELECT ?, sender, out, at FROM preferences WHERE contact = ?
			ON CONFLICT DO UPDATE SET out = excluded.out, at = excluded.at
			WHERE excluded.at > at OR excluded.at = at AND excluded.out > out`,
		// Of two claims by one call the later stays, and the later holds the key.
		`DELETE FROM claims AS lost WHERE contact IN (?1, ?2) AND EXISTS (
			SELECT 1 FROM claims AS kept WHERE kept.contact IN (?1, ?2) AND kept.contact <> lost.contact AND kept.key = lost.key AND kept.call = lost.call
				AND (kept.at > lost.at OR kept.at = lost.at AND kept.contact = ?1))`,
		`UPDATE claims AS gone SET freed = '>' || call WHERE contact IN (?1, ?2) AND freed = '' AND EXISTS (
			SELECT 1 FROM claims AS held WHERE held.contact IN (?1, ?2) AND held.contact <> gone.contact AND held.key = gone.key AND held.freed = ''
				AND (held.at > gone.at OR held.at = gone.at AND held.contact = ?1))`,
		"UPDATE claims SET contact = ? WHERE contact = ?",
	} {
		if err := t.query(statement, nil, contact, other); err != nil {
			return err
		}
	}
	for _, statement := range [...]string{
		"DELETE FROM windows WHERE contact = ?",
		"DELETE FROM preferences WHERE contact = ?",
		"DELETE FROM contacts WHERE seq = ?",
	} {
		if err := t.query(statement, nil, other); err != nil {
			return err
		}
	}
	return nil
}

// contactIDs returns all ids of the person who has one of these, sorted.
func (t tables) contactIDs(ids []string) ([]string, error) {
	var names []string
	for _, id := range ids {
		err := t.query("SELECT b.id FROM aliases a JOIN aliases b ON b.contact = a.contact WHERE a.id = ? ORDER BY b.id",
			func(row *sqlite.Stmt) { names = append(names, row.ColumnText(0)) }, id)
		if err != nil || len(names) > 0 {
			return names, err
		}
	}
	return ids, nil
}

// claims returns a contact's claims of a key.
func (t tables) claims(contact int64, key string) (all []claim, err error) {
	err = t.query("SELECT call, step, at, until, freed <> '', freed = call FROM claims WHERE contact = ? AND key = ?", func(row *sqlite.Stmt) {
		all = append(all, claim{
			call: row.ColumnText(0), step: row.ColumnText(1), at: sqlitefile.Time(row, 2), until: sqlitefile.Time(row, 3), freed: row.ColumnBool(4), denied: row.ColumnBool(5),
		})
	}, contact, key)
	for i := range all {
		if err != nil {
			break
		}
		err = t.query("SELECT id, state FROM messages WHERE call = ? ORDER BY seq DESC LIMIT 1", func(row *sqlite.Stmt) {
			all[i].message, all[i].state = row.ColumnText(0), state(row.ColumnInt64(1))
		}, all[i].call)
	}
	return all, err
}

// takeClaim stores a claim that gets the key, and what the decision says about others.
func (t tables) takeClaim(contact int64, c whatsapp.Claim, v decision) error {
	for _, call := range v.drop {
		if err := t.query("DELETE FROM claims WHERE contact = ? AND key = ? AND call = ?", nil, contact, c.Key, call); err != nil {
			return err
		}
	}
	if v.free != "" {
		if err := t.query("UPDATE claims SET freed = '>' || call WHERE contact = ? AND key = ? AND call = ?", nil, contact, c.Key, v.free); err != nil {
			return err
		}
	}
	return t.query("INSERT INTO claims (contact, key, call, step, at, until) VALUES (?, ?, ?, ?, ?, ?)", nil,
		contact, c.Key, c.Call, c.Step, t.now.UnixNano(), t.now.Add(c.Within).UnixNano())
}

// release releases the keys of a call that did not happen.
func (t tables) release(call string) error {
	return t.query("UPDATE claims SET freed = call WHERE call = ?", nil, call)
}

// duplicateOf returns the call that holds a key that a call released, "" for none.
func (t tables) duplicateOf(call string) (holder string, err error) {
	err = t.query(`SELECT coalesce(min(held.call), '') FROM claims AS gone JOIN claims AS held USING (contact, key)
		WHERE gone.call = ? AND gone.freed <> '' AND held.freed = ''`, func(row *sqlite.Stmt) { holder = row.ColumnText(0) }, call)
	return holder, err
}

// recordAnswer stores an answer, and reports whether a webhook about its message came first.
func (t tables) recordAnswer(a whatsapp.Answer) (overtaken bool, err error) {
	if a.MessageID == "" {
		err = t.release(a.Call)
	} else {
		overtaken, err = t.insertMessage(a)
	}
	if f := factOfAnswer(a, t.now); err == nil && f.needsContact() {
		var contact int64
		if contact, err = t.contact(f.people, true); err == nil {
			err = t.setPerson(contact, f)
		}
	}
	return overtaken, err
}

// insertMessage stores the message of an answer, and tells whether a webhook has made it known
// before the answer said whose it is. Nearly always it is new.
func (t tables) insertMessage(a whatsapp.Answer) (overtaken bool, err error) {
	s, to := stateOf(string(a.State)), normalize(a.Recipient)
	err = t.query("INSERT INTO messages (id, call, sender, recipient, state, at, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (id) DO NOTHING", nil,
		a.MessageID, nullable(a.Call), nullable(a.Sender), nullable(to), int64(s), t.now.UnixNano())
	if err != nil || t.conn.Changes() > 0 {
		return false, err
	}
	err = t.query("SELECT call IS NULL FROM messages WHERE id = ?", func(row *sqlite.Stmt) { overtaken = row.ColumnBool(0) }, a.MessageID)
	if err == nil {
		_, _, err = t.setMessage(a.MessageID, a.Call, a.Sender, to, s, t.now)
	}
	return overtaken, err
}

// prune deletes old rows. It only reads the oldest ones.
func (t tables) prune(before time.Time, most int) (n int, err error) {
	old := before.UnixNano()
	for _, statement := range [...]string{
		"DELETE FROM claims WHERE (contact, key, freed) IN (SELECT contact, key, freed FROM claims WHERE until < ?1 AND at < ?1 ORDER BY until LIMIT ?2)",
		"DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?2) AND received < ?1",
		`DELETE FROM messages WHERE seq IN (SELECT seq FROM messages ORDER BY seq LIMIT ?2) AND updated < ?1
			AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.call = messages.call)`,
	} {
		if err := t.query(statement, nil, old, most); err != nil {
			return n, err
		}
		n += t.conn.Changes()
	}
	return n, nil
}
