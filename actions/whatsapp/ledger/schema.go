package ledger

import "facteur/sqlitefile"

// kind describes a ledger's file.
func kind() sqlitefile.Kind {
	return sqlitefile.Kind{
		Name:       "ledger",
		ID:         0x46435457, // "FCTW"
		Migrations: []string{schema1, schema2},
		Shared:     true, // so that `once` holds for all processes
	}
}

// Times are nanoseconds since 1970 in UTC. Senders are phone number IDs. All rows of a contact
// have its number, which changes when two contacts turn out to be one person.
const schema1 = `
CREATE TABLE contacts (seq INTEGER PRIMARY KEY);
CREATE TABLE aliases (
	id      TEXT PRIMARY KEY, -- digits of a phone number, or a user ID
	contact INTEGER NOT NULL  -- contacts.seq
) WITHOUT ROWID;
CREATE INDEX aliases_by_contact ON aliases (contact);
CREATE TABLE events ( -- all that webhooks told, each once
	seq      INTEGER PRIMARY KEY,
	id       BLOB NOT NULL UNIQUE, -- the same for what is repeated
	kind     TEXT NOT NULL,
	message  TEXT,    -- of a status: wamid
	sender   TEXT,
	contact  INTEGER, -- of a message to the business
	at       INTEGER NOT NULL, -- as Meta says
	received INTEGER NOT NULL, -- by our clock
	body     BLOB NOT NULL
);
CREATE INDEX events_by_message ON events (message) WHERE message IS NOT NULL;
CREATE INDEX events_by_contact ON events (contact, received) WHERE contact IS NOT NULL;
CREATE TABLE messages ( -- that were sent
	seq       INTEGER PRIMARY KEY,
	id        TEXT NOT NULL UNIQUE, -- wamid
	call      TEXT,
	sender    TEXT,
	recipient TEXT,
	state     INTEGER NOT NULL, -- the furthest
	at        INTEGER NOT NULL, -- of the state
	updated   INTEGER NOT NULL
);
CREATE INDEX messages_by_call ON messages (call) WHERE call IS NOT NULL;
CREATE TABLE senders (
	sender TEXT PRIMARY KEY,
	heard  INTEGER NOT NULL -- when the last webhook came
) WITHOUT ROWID;
CREATE TABLE windows (
	contact INTEGER NOT NULL,
	sender  TEXT NOT NULL,
	wrote   INTEGER NOT NULL DEFAULT 0, -- 0: not known
	shut    INTEGER NOT NULL DEFAULT 0, -- 0: never
	PRIMARY KEY (contact, sender)
) WITHOUT ROWID;
CREATE TABLE preferences ( -- about marketing
	contact INTEGER NOT NULL,
	sender  TEXT NOT NULL,
	out     INTEGER NOT NULL, -- 1: none wanted
	at      INTEGER NOT NULL,
	PRIMARY KEY (contact, sender)
) WITHOUT ROWID;
CREATE TABLE claims (
	contact INTEGER NOT NULL,
	key     TEXT NOT NULL,
	call    TEXT NOT NULL,
	step    TEXT NOT NULL,
	at      INTEGER NOT NULL,
	until   INTEGER NOT NULL, -- it counts at least so long
	PRIMARY KEY (contact, key)
) WITHOUT ROWID;
CREATE INDEX claims_by_call ON claims (call);
CREATE INDEX claims_by_until ON claims (until);
`

// Version 2: freed claims stay, so that they count again when their message turns out to have been
// sent.
const schema2 = `
ALTER TABLE claims RENAME TO old_claims;
CREATE TABLE claims (
	contact INTEGER NOT NULL,
	key     TEXT NOT NULL,
	call    TEXT NOT NULL,
	step    TEXT NOT NULL,
	at      INTEGER NOT NULL,
	until   INTEGER NOT NULL, -- it counts at least so long
	freed   TEXT NOT NULL DEFAULT '', -- '': it holds the key; the call: it was denied; > and the call: it was passed on
	PRIMARY KEY (contact, key, freed)
) WITHOUT ROWID;
INSERT INTO claims (contact, key, call, step, at, until) SELECT contact, key, call, step, at, until FROM old_claims;
DROP TABLE old_claims;
CREATE INDEX claims_by_call ON claims (call);
CREATE INDEX claims_by_until ON claims (until);
`
