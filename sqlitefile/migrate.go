package sqlitefile

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// check returns the version of the file's schema, 0 if it is empty, or why it cannot be used.
func (k Kind) check(conn *sqlite.Conn) (version int, err error) {
	version, err = queryInt(conn, "PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	id, err := queryInt(conn, "PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	objects, err := queryInt(conn, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return 0, err
	}
	known := len(k.Migrations)
	switch {
	case id != int(k.ID) && (id != 0 || version != 0 || objects != 0):
		return 0, errNotOurs
	case version > known:
		return 0, fmt.Errorf("it has schema version %d, but this facteur only knows versions up to %d; use the newer facteur that wrote it", version, known)
	}
	return version, nil
}

// migrate brings the file to the newest schema, with one transaction per migration.
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

// queryInt returns the single integer that a query returns.
func queryInt(conn *sqlite.Conn, query string) (n int, err error) {
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error { n = row.ColumnInt(0); return nil },
	})
	return n, err
}
