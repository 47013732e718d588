package journal

import (
	"errors"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A blobInsert inserts rows of a number and many bytes.
type blobInsert struct {
	table, column string
	bound, room   sqlitefile.Statement
}

// newBlobInsert returns one for a table whose rows have these two columns alone.
func newBlobInsert(table, number, column string) blobInsert {
	into := "INSERT INTO " + table + " (" + number + ", " + column + ") VALUES (?, "
	return blobInsert{table, column, sqlitefile.Statement{SQL: into + "?)"}, sqlitefile.Statement{SQL: into + "zeroblob(?))"}}
}

// maxBound is how many bytes are bound to a statement. SQLite copies them four times, and
// what is written into its place once, but it takes longer to begin with that.
const maxBound = 2048

func (in *blobInsert) row(conn *sqlite.Conn, number int64, b []byte) error {
	insert := &in.room
	if len(b) <= maxBound {
		insert = &in.bound
	}
	q, err := insert.On(conn)
	if err != nil {
		return err
	}
	q.BindInt64(1, number)
	if insert == &in.bound {
		q.BindBytes(2, b)
		return sqlitefile.Exec(q)
	}
	q.BindInt64(2, int64(len(b)))
	if err := sqlitefile.Exec(q); err != nil {
		return err
	}
	blob, err := conn.OpenBlob("", in.table, in.column, number, true)
	if err != nil {
		return err
	}
	_, err = blob.Write(b)
	return errors.Join(err, blob.Close())
}

// cut takes runs out of the rows of a table in which many lie in one piece, each under the
// number of its first run. left returns what stays of one.
func cut(conn *sqlite.Conn, table, column string, runs map[int64]bool, left func(number int64, all []byte) ([]byte, error)) error {
	numbers := map[int64]bool{}
	for run := range runs {
		err := sqlitefile.Query(conn, "SELECT max(run) FROM "+table+" WHERE run <= ?", func(row *sqlite.Stmt) { numbers[row.ColumnInt64(0)] = true }, run)
		if err != nil {
			return err
		}
	}
	for number := range numbers {
		var all []byte
		err := sqlitefile.Query(conn, "SELECT "+column+" FROM "+table+" WHERE run = ?", func(row *sqlite.Stmt) { all = sqlitefile.Blob(row, 0) }, number)
		if err != nil {
			return err
		}
		rest, err := left(number, all)
		switch {
		case err != nil || len(rest) == len(all):
		case len(rest) == 0:
			err = sqlitefile.Query(conn, "DELETE FROM "+table+" WHERE run = ?", nil, number)
		default:
			err = sqlitefile.Query(conn, "UPDATE "+table+" SET "+column+" = ? WHERE run = ?", nil, rest, number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
