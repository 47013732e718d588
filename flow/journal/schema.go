package journal

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// applicationID marks a SQLite database as a journal: "FCTR".
const applicationID = 0x46435452

// migrations lead from an empty file to the newest schema; the user_version of a file
// counts those that it has seen. One that was released is never changed: what it made is
// on disks.
func migrations() []string {
	return []string{schema1}
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

// check returns the version of the schema in the file, 0 for an empty one, or the reason
// why the file is not for us.
func check(conn *sqlite.Conn) (version int, err error) {
	version, err = number(conn, "PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	id, err := number(conn, "PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	objects, err := number(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return 0, err
	}
	known := len(migrations())
	switch {
	case id != applicationID && (id != 0 || version != 0 || objects != 0):
		return 0, errForeign
	case version > known:
		return 0, fmt.Errorf("it has schema %d and this facteur knows them up to %d; use the newer facteur that wrote it", version, known)
	}
	return version, nil
}

// migrate brings the file to the newest schema, one transaction for each step.
func migrate(conn *sqlite.Conn) error {
	version, err := check(conn)
	if err != nil {
		return err
	}
	for i, script := range migrations()[version:] {
		script += fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, version+i+1)
		if err := sqlitex.ExecuteScript(conn, script, nil); err != nil { // in a savepoint
			return err
		}
	}
	return nil
}

// number returns the result of a query that has one.
func number(conn *sqlite.Conn, query string) (n int, err error) {
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error { n = row.ColumnInt(0); return nil },
	})
	return n, err
}
