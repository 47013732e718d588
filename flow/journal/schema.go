package journal

import "facteur/sqlitefile"

// kind is that of a journal's file.
func kind() sqlitefile.Kind {
	return sqlitefile.Kind{
		Name:       "journal",
		ID:         0x46435452, // "FCTR"
		Migrations: []string{schema1},
	}
}

// Times are nanoseconds since 1970 in UTC, null for the zero time. Runs and records are
// numbered in the order in which they came, so appending touches the end of a table
// whichever run it is for.
const schema1 = `
CREATE TABLE plans ( -- what the runs of one version of a flow share
	seq    INTEGER PRIMARY KEY,
	hash   BLOB NOT NULL UNIQUE, -- of the digest and the sources
	digest TEXT NOT NULL
);
CREATE TABLE sources (
	plan INTEGER NOT NULL, -- plans.seq
	name TEXT NOT NULL,
	text BLOB NOT NULL,
	PRIMARY KEY (plan, name)
) WITHOUT ROWID;
CREATE TABLE runs (
	seq     INTEGER PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	flow    TEXT NOT NULL,
	plan    INTEGER NOT NULL, -- plans.seq
	version INTEGER NOT NULL, -- of the machine
	status  TEXT NOT NULL,
	started INTEGER,
	ended   INTEGER
);
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_flow ON runs (flow);
CREATE TABLE records (
	seq  INTEGER PRIMARY KEY,
	run  INTEGER NOT NULL, -- runs.seq
	at   INTEGER,
	kind TEXT NOT NULL,
	body BLOB NOT NULL
);
CREATE INDEX records_by_run ON records (run);
`
