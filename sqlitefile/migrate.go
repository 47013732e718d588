package sqlitefile

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// check returns the version of the schema in the file, 0 for an empty one, or the reason
// why the file is not for us.
func (k Kind) check(conn *sqlite.Conn) (version int, err error) {
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
	known := len(k.Migrations)
	switch {
	case id != int(k.ID) && (id != 0 || version != 0 || objects != 0):
		return 0, errForeign
	case version > known:
		return 0, fmt.Errorf("it has schema %d and this facteur knows them up to %d; use the newer facteur that wrote it", version, known)
	}
	return version, nil
}

// migrate brings the file to the newest schema, one transaction for each step.
func (k Kind) migrate(conn *sqlite.Conn) error {
	version, err := k.check(conn)
	if err != nil {
		return err
	}
	for i, script := range k.Migrations[version:] {
		script += fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", k.ID, version+i+1)
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
