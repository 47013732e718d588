package ledger

// The statements that SQLite and PostgreSQL both take. SQLite numbers $1, $2 … in the order in which
// they appear.
const (
	selectWindow = `
		SELECT wrote, shut, coalesce(heard, 0) FROM aliases JOIN windows USING (contact) LEFT JOIN senders USING (sender)
		WHERE id = $1 AND sender = $2`
	selectOptedOut = `
		SELECT out AND heard >= at FROM aliases JOIN preferences USING (contact) JOIN senders USING (sender)
		WHERE id = $1 AND sender = $2`

	upsertWindow = "INSERT INTO windows AS w (contact, sender, wrote, shut) VALUES ($1, $2, $3, $4)" + onWindow
	onWindow     = `
		ON CONFLICT (contact, sender) DO UPDATE SET
			wrote = CASE WHEN excluded.wrote > w.wrote THEN excluded.wrote ELSE w.wrote END,
			shut = CASE WHEN excluded.shut > w.shut THEN excluded.shut ELSE w.shut END`
	// Of two preferences the latest counts, and of two at the same time the opt-out.
	upsertPreference = "INSERT INTO preferences AS p (contact, sender, out, at) VALUES ($1, $2, $3, $4)" + onPreference
	onPreference     = `
		ON CONFLICT (contact, sender) DO UPDATE SET out = excluded.out, at = excluded.at
		WHERE excluded.at > p.at OR excluded.at = p.at AND excluded.out > p.out`

	passClaimOn   = "UPDATE claims SET freed = '>' || call WHERE contact = $1 AND key = $2 AND call = $3"
	releaseClaims = "UPDATE claims SET freed = call WHERE call = $1" // of a call that did not happen

	deleteAlias = "DELETE FROM aliases WHERE id = $1"
)

// mergeContacts move all that contact $2 has to contact $1, except for messages.
var mergeContacts = [...]string{
	"UPDATE aliases SET contact = $1 WHERE contact = $2",
	"INSERT INTO windows AS w (contact, sender, wrote, shut) SELECT $1, sender, wrote, shut FROM windows WHERE contact = $2" + onWindow,
	"INSERT INTO preferences AS p (contact, sender, out, at) SELECT $1, sender, out, at FROM preferences WHERE contact = $2" + onPreference,
	// Of two claims by one call the later stays, and the later holds the key. A claim moves as it is:
	// whoever is about to release it finds it.
	`DELETE FROM claims AS lost WHERE contact IN ($1, $2) AND EXISTS (
		SELECT 1 FROM claims AS kept WHERE kept.contact IN ($1, $2) AND kept.contact <> lost.contact AND kept.key = lost.key AND kept.call = lost.call
			AND (kept.at > lost.at OR kept.at = lost.at AND kept.contact = $1))`,
	`UPDATE claims AS gone SET freed = '>' || call WHERE contact IN ($1, $2) AND freed = '' AND EXISTS (
		SELECT 1 FROM claims AS held WHERE held.contact IN ($1, $2) AND held.contact <> gone.contact AND held.key = gone.key AND held.freed = ''
			AND (held.at > gone.at OR held.at = gone.at AND held.contact = $1))`,
	"UPDATE claims SET contact = $1 WHERE contact = $2",
}

// deleteContact deletes contact $1 after it was merged into another, and what was copied.
var deleteContact = [...]string{
	"DELETE FROM windows WHERE contact = $1",
	"DELETE FROM preferences WHERE contact = $1",
	"DELETE FROM contacts WHERE seq = $1",
}
