package ledger

import (
	"cmp"
	"slices"
	"time"

	"facteur/actions/whatsapp"
	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// Tables are those of the file, within one transaction.
type tables struct {
	conn      *sqlite.Conn
	now       time.Time
	strangers *strangers
	often     *often // only for who writes
}

// Often is what each webhook needs: statements that stay prepared, and when senders were
// heard of, as it was stored last. Only the goroutine that writes uses it.
type often struct {
	insertEvent, moveMessage sqlitefile.Statement

	hearings map[string]time.Time
}

// maxHearings bounds the senders whose last hearing is remembered.
const maxHearings = 1000

func newOften() *often {
	return &often{
		// OR IGNORE, which ON CONFLICT is not, spares SQLite a copy of each page.
		insertEvent: sqlitefile.Statement{SQL: "INSERT OR IGNORE INTO events (id, kind, message, sender, contact, at, received, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		moveMessage: sqlitefile.Statement{SQL: `UPDATE messages SET at = CASE WHEN ?2 > state THEN ?3 ELSE at END, state = max(state, ?2), updated = ?4
			WHERE id = ?1 AND call = ?5 AND sender IS NOT NULL AND recipient IS NOT NULL`},
		hearings: map[string]time.Time{},
	}
}

func (t tables) query(statement string, each func(row *sqlite.Stmt), args ...any) error {
	return sqlitefile.Query(t.conn, statement, each, args...)
}

// text is null where there is none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// heard notes that a webhook of a sender came; exactly says that it matters to the moment.
// Else a row that is not older than hearing stays as it is: it is one for all that comes
// for a sender.
func (t tables) heard(sender string, exactly bool) error {
	if last, ok := t.often.hearings[sender]; ok && !exactly && t.now.Sub(last) < hearing {
		return nil
	}
	if len(t.often.hearings) >= maxHearings {
		clear(t.often.hearings)
	}
	t.often.hearings[sender] = t.now
	return t.query(`INSERT INTO senders (sender, heard) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET heard = max(heard, excluded.heard)`, nil, sender, t.now.UnixNano())
}

// apply stores a fact, unless it is known. Of a status it finds out the call.
func (t tables) apply(e *entry) (news News, err error) {
	news.Notification = e.Notification
	contact := int64(0)
	if e.named() {
		// What is known makes no person known.
		if err := t.query("SELECT 1 FROM events WHERE id = ?", func(*sqlite.Stmt) { news.Known = true }, e.id[:]); err != nil {
			return news, err
		}
		if !news.Known && e.Kind == "message" { // its row names the contact
			if contact, err = t.contactOf(e.fact); err != nil {
				return news, err
			}
		}
	}
	if !news.Known {
		fresh, err := t.event(e, contact)
		if err != nil {
			return news, err
		}
		news.Known = !fresh
	}
	if e.Kind == "status" && e.MessageID != "" {
		if e.call, news.Rival, err = t.status(e, news.Known); err != nil {
			return news, err
		}
	}
	if !news.Known && e.named() {
		if contact == 0 {
			if contact, err = t.contactOf(e.fact); err != nil {
				return news, err
			}
		}
		if err := t.person(contact, e.fact); err != nil {
			return news, err
		}
	}
	news.Contact, err = t.names(e.people)
	return news, err
}

// contactOf returns the number of the person of a fact.
func (t tables) contactOf(f fact) (int64, error) {
	contact, err := t.contact(f.people, true)
	if err == nil && f.left != "" {
		err = t.query("DELETE FROM aliases WHERE id = ?", nil, f.left)
	}
	return contact, err
}

// event stores a fact and tells whether it is fresh, without a look first.
func (t tables) event(e *entry, contact int64) (fresh bool, err error) {
	q, err := t.often.insertEvent.Prepare(t.conn)
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

// status stores what a status says of its message, unless it is known, and returns the key
// of the call that sent it, "" for none, and its rival.
func (t tables) status(e *entry, known bool) (call, rival string, err error) {
	if known {
		err = t.query("SELECT call FROM messages WHERE id = ?", func(row *sqlite.Stmt) { call = row.ColumnText(0) }, e.MessageID)
		return call, "", err
	}
	call, fresh, err := t.message(e.MessageID, e.call, e.PhoneNumberID, key(e.To), e.state, e.at)
	if err == nil && fresh && call != "" && e.state != failed {
		rival, err = t.rival(call)
	}
	return call, rival, err
}

// message stores how far a message has come, and returns the key of the call that sent it,
// and whether nothing was known of it before.
// Nearly always all else of it is known, and is what the status says: that takes one
// statement, which touches no index. RETURNING would make SQLite keep a journal for the
// statement, which costs more than to look first.
func (t tables) message(id, call, sender, recipient string, s state, at time.Time) (of string, fresh bool, err error) {
	if call != "" {
		q, err := t.often.moveMessage.Prepare(t.conn)
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
		id, text(call), text(sender), text(recipient), int64(s), at.UnixNano(), t.now.UnixNano())
}

// person stores what a fact says about its person.
func (t tables) person(contact int64, f fact) error {
	if f.wrote {
		if err := t.window(contact, f.PhoneNumberID, "wrote", f.at); err != nil {
			return err
		}
	}
	if f.shut {
		if err := t.window(contact, f.PhoneNumberID, "shut", f.at); err != nil {
			return err
		}
	}
	if f.optedOut || f.optedIn {
		return t.preference(contact, f.PhoneNumberID, f.optedOut, f.at)
	}
	return nil
}

// window notes when a contact wrote, or when Meta said that the window is shut.
func (t tables) window(contact int64, sender, column string, at time.Time) error {
	return t.query("INSERT INTO windows (contact, sender, "+column+") VALUES (?, ?, ?)"+
		" ON CONFLICT DO UPDATE SET "+column+" = max("+column+", excluded."+column+")", nil, contact, sender, at.UnixNano())
}

// preference notes whether a contact wants marketing: the latest counts, of two at the
// same time that which wants none.
func (t tables) preference(contact int64, sender string, out bool, at time.Time) error {
	return t.query(`INSERT INTO preferences (contact, sender, out, at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET out = excluded.out, at = excluded.at
		WHERE excluded.at > at OR excluded.at = at AND excluded.out > out`, nil, contact, sender, out, at.UnixNano())
}

// contact returns the number of who has the ids, and joins those who turn out to be one
// person. It is 0 where nobody is known and none is to be made.
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
		t.strangers.note(id)
		if err := t.query("INSERT INTO aliases (id, contact) VALUES (?, ?)", nil, id, found[0]); err != nil {
			return 0, err
		}
	}
	for _, other := range found[1:] {
		if err := t.join(found[0], other); err != nil {
			return 0, err
		}
	}
	return found[0], nil
}

// join gives a contact all that another has.
func (t tables) join(contact, other int64) error {
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

// names returns all ids of the person who has one of these, sorted.
func (t tables) names(ids []string) ([]string, error) {
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

// claims returns those of a contact under a key.
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

// take gives a claim its key.
func (t tables) take(contact int64, c whatsapp.Claim, v verdict) error {
	for _, call := range v.forget {
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

// release gives up what a call claimed that did not happen.
func (t tables) release(call string) error {
	return t.query("UPDATE claims SET freed = call WHERE call = ?", nil, call)
}

// rival returns who holds a key that a call gave up, "" for nobody.
func (t tables) rival(call string) (rival string, err error) {
	err = t.query(`SELECT coalesce(min(held.call), '') FROM claims AS gone JOIN claims AS held USING (contact, key)
		WHERE gone.call = ? AND gone.freed <> '' AND held.freed = ''`, func(row *sqlite.Stmt) { rival = row.ColumnText(0) }, call)
	return rival, err
}

// told stores an answer, and tells whether something came of its message before it was
// known whose it is.
func (t tables) told(a whatsapp.Answer) (overtaken bool, err error) {
	if a.MessageID == "" {
		err = t.release(a.Call)
	} else {
		overtaken, err = t.sent(a)
	}
	if f := factOfAnswer(a, t.now); err == nil && f.named() {
		var contact int64
		if contact, err = t.contact(f.people, true); err == nil {
			err = t.person(contact, f)
		}
	}
	return overtaken, err
}

// sent stores the message of an answer, and tells whether a webhook has made it known
// before the answer said whose it is. Nearly always it is new.
func (t tables) sent(a whatsapp.Answer) (overtaken bool, err error) {
	s, to := stateOf(string(a.State)), key(a.Recipient)
	err = t.query("INSERT INTO messages (id, call, sender, recipient, state, at, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (id) DO NOTHING", nil,
		a.MessageID, text(a.Call), text(a.Sender), text(to), int64(s), t.now.UnixNano())
	if err != nil || t.conn.Changes() > 0 {
		return false, err
	}
	err = t.query("SELECT call IS NULL FROM messages WHERE id = ?", func(row *sqlite.Stmt) { overtaken = row.ColumnBool(0) }, a.MessageID)
	if err == nil {
		_, _, err = t.message(a.MessageID, a.Call, a.Sender, to, s, t.now)
	}
	return overtaken, err
}

// prune deletes what is old, looking only at the oldest rows.
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
