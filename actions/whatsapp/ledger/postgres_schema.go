package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// postgresMigrations are scripts, each of which migrates to the next version of the schema.
var postgresMigrations = [...]string{postgres1, postgres2}

// Times are nanoseconds since 1970 in UTC. Senders are phone number IDs. All rows of a contact
// have its number, which changes when two contacts turn out to be one person: a transaction that
// writes about a contact locks its row first, see lockContacts.
const postgres1 = `
CREATE SEQUENCE arrivals;
CREATE TABLE contacts (seq bigint PRIMARY KEY);
CREATE TABLE aliases (
	id      text COLLATE "C" PRIMARY KEY, -- digits of a phone number, or a user ID
	contact bigint NOT NULL REFERENCES contacts
);
CREATE INDEX aliases_by_contact ON aliases (contact);
CREATE TABLE events ( -- all that webhooks told, each once
	seq      bigint PRIMARY KEY, -- of arrivals
	id       uuid NOT NULL UNIQUE, -- the same for what is repeated
	kind     text NOT NULL,
	message  text COLLATE "C", -- of a status: wamid
	sender   text COLLATE "C",
	at       bigint NOT NULL, -- as Meta says
	received bigint NOT NULL, -- by our clock
	body     bytea NOT NULL
);
CREATE INDEX events_by_message ON events (message) WHERE message IS NOT NULL;
CREATE TABLE inbound ( -- the events that are messages of a contact
	event    bigint PRIMARY KEY REFERENCES events ON DELETE CASCADE,
	contact  bigint NOT NULL REFERENCES contacts,
	sender   text COLLATE "C" NOT NULL,
	at       bigint NOT NULL,
	received bigint NOT NULL
);
CREATE INDEX inbound_by_contact ON inbound (contact, received);
CREATE TABLE messages ( -- that were sent
	id        text COLLATE "C" PRIMARY KEY, -- wamid
	call      text COLLATE "C",
	sender    text COLLATE "C",
	recipient text COLLATE "C",
	state     smallint NOT NULL, -- the furthest
	at        bigint NOT NULL, -- of the state
	since     bigint NOT NULL, -- when it was heard of first
	updated   bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX messages_by_call ON messages (call) WHERE call IS NOT NULL;
CREATE INDEX messages_by_age ON messages (since);
CREATE TABLE senders (
	sender text COLLATE "C" PRIMARY KEY,
	heard  bigint NOT NULL -- when the last webhook came, within hearing
);
CREATE TABLE windows (
	contact bigint NOT NULL REFERENCES contacts,
	sender  text COLLATE "C" NOT NULL,
	wrote   bigint NOT NULL, -- 0: not known
	shut    bigint NOT NULL, -- 0: never
	PRIMARY KEY (contact, sender)
) WITH (fillfactor = 80);
CREATE TABLE preferences ( -- about marketing
	contact bigint NOT NULL REFERENCES contacts,
	sender  text COLLATE "C" NOT NULL,
	out     boolean NOT NULL, -- none wanted
	at      bigint NOT NULL,
	PRIMARY KEY (contact, sender)
);
CREATE TABLE claims (
	contact bigint NOT NULL REFERENCES contacts,
	key     text COLLATE "C" NOT NULL,
	call    text COLLATE "C" NOT NULL,
	step    text COLLATE "C" NOT NULL,
	at      bigint NOT NULL,
	until   bigint NOT NULL, -- it counts at least so long
	PRIMARY KEY (contact, key)
);
CREATE INDEX claims_by_call ON claims (call);
CREATE INDEX claims_by_until ON claims (until);
`

// Version 2: freed claims stay, so that they count again when their message turns out to have been
// sent.
const postgres2 = `
ALTER TABLE claims ADD COLUMN freed text COLLATE "C" NOT NULL DEFAULT ''; -- '': it holds the key; the call: it was denied; > and the call: it was passed on
ALTER TABLE claims DROP CONSTRAINT claims_pkey, ADD PRIMARY KEY (contact, key, freed);
`

// migrate migrates a schema to the newest version. Of several daemons that start at the same time
// one does it.
func migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	if version, err := schemaVersion(ctx, conn); err != nil || version == len(postgresMigrations) {
		return err // so that a daemon usually needs no right to change tables
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", ledgerID); err != nil {
			return err
		}
		var exists bool
		name := pgx.Identifier{schema}.Sanitize()
		if err := tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", name).Scan(&exists); err != nil {
			return err
		}
		version, err := schemaVersion(ctx, tx)
		if err != nil {
			return err
		}
		script := "CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());"
		if !exists {
			script = "CREATE SCHEMA " + name + ";" + script
		}
		for i, migration := range postgresMigrations[version:] {
			script += migration + fmt.Sprintf("INSERT INTO migrations (version) VALUES (%d);", version+i+1)
		}
		_, err = tx.Exec(ctx, script)
		return err
	})
}

// schemaVersion returns the version of the existing tables, 0 for none.
func schemaVersion(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (version int, err error) {
	var exists bool
	err = q.QueryRow(ctx, "SELECT to_regclass('migrations') IS NOT NULL").Scan(&exists)
	if err == nil && exists {
		err = q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM migrations").Scan(&version)
	}
	if known := len(postgresMigrations); err == nil && version > known {
		err = &newerSchemaError{fmt.Sprintf("it has schema version %d, but this facteur only knows versions up to %d", version, known)}
	}
	return version, err
}

// A newerSchemaError says that a newer facteur has migrated the tables.
type newerSchemaError struct{ text string }

func (e *newerSchemaError) Error() string { return e.text }
