package ledger

import (
	"context"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Schema is the newest version of the file.
func Schema() int { return len(kind().Migrations) }

// Exec runs a statement on the writer's connection, outside a transaction.
func (l *SQLite) Exec(sql string) error {
	return l.file.WriteOutsideTransaction(context.Background(), func(conn *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(conn, sql, nil)
	})
}

// IsUnknownContact is isStranger.
func (l *SQLite) IsUnknownContact(id string) bool { return l.isUnknownContact(id) }
