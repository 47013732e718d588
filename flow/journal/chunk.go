package journal

import (
	"errors"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// A blobInsert inserts rows of a number and a blob.
type blobInsert struct {
	table, column  string
	bind, zeroblob sqlitefile.Statement // the blob as a parameter; zeros to be overwritten
}

// newBlobInsert returns one for a table with these two columns alone.
func newBlobInsert(table, number, column string) blobInsert {
	into := "INSERT INTO " + table + " (" + number + ", " + column + ") VALUES (?, "
	return blobInsert{table, column, sqlitefile.Statement{SQL: into + "?)"}, sqlitefile.Statement{SQL: into + "zeroblob(?))"}}
}

// maxBound is the size of blobs that are bound as a parameter. SQLite copies a parameter
// four times and what is written with OpenBlob once, but OpenBlob costs more to begin with.
const maxBound = 2048

func (in *blobInsert) row(conn *sqlite.Conn, number int64, b []byte) error {
	if len(b) <= maxBound {
		return in.bind.Exec(conn, func(q *sqlite.Stmt) {
			q.BindInt64(1, number)
			q.BindBytes(2, b)
		})
	}
	err := in.zeroblob.Exec(conn, func(q *sqlite.Stmt) {
		q.BindInt64(1, number)
		q.BindInt64(2, int64(len(b)))
	})
	if err != nil {
		return err
	}
	blob, err := conn.OpenBlob("", in.table, in.column, number, true)
	if err != nil {
		return err
	}
	_, err = blob.Write(b)
	return errors.Join(err, blob.Close())
}

// A chunk is a row with something of many runs, under the number of the first of them: in one
// piece it costs SQLite much less than in a row for each.

// cutChunks removes runs from the chunks of a table. cut returns what is left of one.
func cutChunks(conn *sqlite.Conn, table, column string, runs map[int64]bool, cut func(number int64, chunk []byte) ([]byte, error)) error {
	numbers := map[int64]bool{}
	for run := range runs {
		err := sqlitefile.Query(conn, "SELECT max(run) FROM "+table+" WHERE run <= ?", func(row *sqlite.Stmt) { numbers[row.ColumnInt64(0)] = true }, run)
		if err != nil {
			return err
		}
	}
	for number := range numbers {
		var chunk []byte
		err := sqlitefile.Query(conn, "SELECT "+column+" FROM "+table+" WHERE run = ?", func(row *sqlite.Stmt) { chunk = sqlitefile.Blob(row, 0) }, number)
		if err != nil {
			return err
		}
		left, err := cut(number, chunk)
		switch {
		case err != nil || len(left) == len(chunk):
		case len(left) == 0:
			err = sqlitefile.Query(conn, "DELETE FROM "+table+" WHERE run = ?", nil, number)
		default:
			err = sqlitefile.Query(conn, "UPDATE "+table+" SET "+column+" = ? WHERE run = ?", nil, left, number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
