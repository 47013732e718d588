package journal

import (
	"math"
	"time"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// fileKind describes a journal's file.
func fileKind() sqlitefile.Kind {
	return sqlitefile.Kind{
		Name:          "journal",
		ID:            0x46435452, // "FCTR"
		Migrations:    []string{schema1, schema2, schema3, schema4, schema5},
		Recover:       recoverLog,
		NeedsRecovery: "SELECT EXISTS (SELECT 1 FROM log)",
	}
}

// Times are nanoseconds since 1970 in UTC. The zero time is the smallest number, and a run
// that has not ended does so at the largest, so that numbers compare as times do.
const (
	zeroTime = math.MinInt64
	notEnded = math.MaxInt64
)

// encodeTime returns the stored form of a time.
func encodeTime(t time.Time) int64 {
	if t.IsZero() {
		return zeroTime
	}
	return t.UnixNano()
}

// decodeTime returns a stored time, in UTC.
func decodeTime(n int64) time.Time {
	if n == zeroTime || n == notEnded {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// encodeEnd returns the stored form of Run.Ended.
func encodeEnd(t time.Time) int64 {
	if t.IsZero() {
		return notEnded
	}
	return t.UnixNano()
}

func columnTime(row *sqlite.Stmt, col int) time.Time { return decodeTime(row.ColumnInt64(col)) }

// Times were null for the zero time, here.
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

// A run of one step takes few rows and look-ups: what is known at its start is one row, which
// keeps its size when the run ends, and what comes later is appended. The indexes serve what
// List selects by: the newest first, by recipient, by status and plan. The plans of a flow,
// and the statuses, are few.
const schema2 = `
ALTER TABLE plans RENAME TO plans1;
ALTER TABLE sources RENAME TO sources1;
ALTER TABLE runs RENAME TO runs1;

CREATE TABLE plans ( -- what the runs of one version of a flow share
	seq    INTEGER PRIMARY KEY,
	hash   BLOB NOT NULL UNIQUE, -- of all that is stored of it
	flow   TEXT NOT NULL,
	digest TEXT NOT NULL
);
CREATE INDEX plans_by_flow ON plans (flow);
CREATE TABLE sources (
	plan INTEGER NOT NULL, -- plans.seq
	name TEXT NOT NULL,
	text BLOB NOT NULL,
	PRIMARY KEY (plan, name)
) WITHOUT ROWID;
CREATE TABLE statuses (
	code INTEGER PRIMARY KEY, -- from 2: 0 and 1 take less room than others
	name TEXT NOT NULL UNIQUE
);
CREATE TABLE runs (
	seq     INTEGER PRIMARY KEY,
	id      TEXT NOT NULL UNIQUE,
	plan    INTEGER NOT NULL, -- plans.seq
	version INTEGER NOT NULL, -- of the machine
	status  INTEGER NOT NULL, -- statuses.code, once it has ended
	started INTEGER NOT NULL,
	ended   INTEGER NOT NULL,
	unknown INTEGER NOT NULL, -- how many unknowns it has
	starter TEXT NOT NULL,
	lock    TEXT NOT NULL,
	inputs  BLOB NOT NULL, -- a hash
	first   BLOB NOT NULL -- the records that it was created with, if they are small
);
CREATE INDEX runs_ended ON runs (status, plan) WHERE ended < 9223372036854775807;
CREATE TABLE open ( -- the runs that have not ended
	run    INTEGER PRIMARY KEY, -- runs.seq
	plan   INTEGER NOT NULL,
	status INTEGER NOT NULL, -- statuses.code
	waits  BLOB -- null: for nothing
);
CREATE TABLE unknowns ( -- calls that nobody knows the outcome of
	run INTEGER NOT NULL, -- runs.seq
	key TEXT NOT NULL,
	PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE recipients (
	key  INTEGER PRIMARY KEY, -- see recipientKey
	hash INTEGER NOT NULL -- of the recipient
);
CREATE TABLE stretches ( -- of runs that started in the same minute
	run    INTEGER PRIMARY KEY, -- runs.seq of the first one
	minute INTEGER NOT NULL -- since 1970
);
CREATE INDEX stretches_by_minute ON stretches (minute);
CREATE TABLE events (
	seq        INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	subjects   BLOB NOT NULL,
	connection TEXT NOT NULL,
	at         INTEGER NOT NULL,
	claimed    INTEGER NOT NULL,
	done       INTEGER NOT NULL,
	body       BLOB NOT NULL
);
CREATE INDEX events_open ON events (done) WHERE done = 0;
CREATE INDEX events_done ON events (at) WHERE done = 1;
CREATE TABLE subjects (
	hash  INTEGER NOT NULL, -- of the event's name and the subject
	at    INTEGER NOT NULL,
	event INTEGER NOT NULL, -- events.seq
	PRIMARY KEY (hash, at, event)
) WITHOUT ROWID;
CREATE TABLE notes (
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE TABLE moved (seq INTEGER PRIMARY KEY, plan INTEGER, flow TEXT, UNIQUE (plan, flow));
INSERT INTO moved (plan, flow) SELECT DISTINCT plan, flow FROM runs1;
INSERT INTO plans (seq, hash, flow, digest)
	SELECT moved.seq, hex(hash) || flow, flow, digest FROM moved JOIN plans1 ON plans1.seq = plan;
INSERT INTO sources (plan, name, text)
	SELECT moved.seq, name, text FROM moved JOIN sources1 ON sources1.plan = moved.plan;
INSERT INTO statuses (code, name) VALUES (2, 'running');
INSERT INTO statuses (name) SELECT DISTINCT status FROM runs1 WHERE status <> 'running';
INSERT INTO runs (seq, id, plan, version, status, started, ended, unknown, starter, lock, inputs, first)
	SELECT runs1.seq, id, moved.seq, version, code, coalesce(started, -9223372036854775808), coalesce(ended, 9223372036854775807), 0, '', '', x'', x''
	FROM runs1 JOIN moved USING (plan, flow) JOIN statuses ON name = status;
INSERT INTO open (run, plan, status) SELECT seq, plan, status FROM runs WHERE ended = 9223372036854775807;
UPDATE records SET at = -9223372036854775808 WHERE at IS NULL;
INSERT INTO stretches (run, minute)
	SELECT seq, minute FROM (
		SELECT seq, started / 60000000000 AS minute, lag(started / 60000000000) OVER (ORDER BY seq) AS previous FROM runs
	) WHERE minute IS NOT previous;
DROP TABLE moved;
DROP TABLE runs1;
DROP TABLE sources1;
DROP TABLE plans1;
`

// Changes of runs go to the log first: see log.go.
const schema3 = `
CREATE TABLE log (
	seq     INTEGER PRIMARY KEY,
	changes BLOB NOT NULL -- entries
);
`

// The first records of runs were in runs.first, which is empty from here on: see
// recordchunk.go.
const schema4 = `
CREATE TABLE sheaves (
	run     INTEGER PRIMARY KEY, -- runs.seq of the first one
	records BLOB NOT NULL -- of each run its number, and its records after their length
);
`

// Ended runs were in an index runs_ended, and recipients each in a row: see endedrange.go and
// recipientchunk.go.
const schema5 = `
CREATE TABLE mailings (
	run        INTEGER PRIMARY KEY, -- runs.seq of the first one
	recipients BLOB NOT NULL -- hashes, each after how far its run is behind the one before
);
CREATE TABLE endings ( -- in which parts ended runs are: see ending.go
	status INTEGER NOT NULL, -- statuses.code
	plan   INTEGER NOT NULL, -- plans.seq
	part   INTEGER NOT NULL, -- runs.seq / 64
	PRIMARY KEY (status, plan, part)
) WITHOUT ROWID;
INSERT INTO endings (status, plan, part)
	SELECT DISTINCT status, plan, seq / 64 FROM runs WHERE ended < 9223372036854775807;
DROP INDEX runs_ended;
`
