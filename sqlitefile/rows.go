package sqlitefile

import (
	"errors"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Query runs a statement and calls each with its rows; each may be nil for a statement without. The
// prepared statement is cached by the connection.
func Query(conn *sqlite.Conn, statement string, each func(row *sqlite.Stmt), args ...any) error {
	return sqlitex.Execute(conn, statement, &sqlitex.ExecOptions{
		Args:       args,
		ResultFunc: func(row *sqlite.Stmt) error { each(row); return nil },
	})
}

// QueryUntil is Query, but ends at the row for which each returns false.
func QueryUntil(conn *sqlite.Conn, statement string, each func(row *sqlite.Stmt) bool, args ...any) error {
	err := sqlitex.Execute(conn, statement, &sqlitex.ExecOptions{
		Args: args,
		ResultFunc: func(row *sqlite.Stmt) error {
			if !each(row) {
				return errStop
			}
			return nil
		},
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

var errStop = errors.New("enough")

// Time returns a column of nanoseconds since 1970 as a time in UTC, the zero time for null.
func Time(row *sqlite.Stmt, col int) time.Time {
	if row.ColumnIsNull(col) {
		return time.Time{}
	}
	return time.Unix(0, row.ColumnInt64(col)).UTC()
}

// Blob returns a copy of a column, nil if it is empty.
func Blob(row *sqlite.Stmt, col int) []byte {
	if row.ColumnLen(col) == 0 {
		return nil
	}
	b := make([]byte, row.ColumnLen(col))
	row.ColumnBytes(col, b)
	return b
}
