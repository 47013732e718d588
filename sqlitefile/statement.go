package sqlitefile

import (
	"cmp"
	"strings"

	"zombiezen.com/go/sqlite"
)

// A Statement is prepared on its first use, and kept. It is for one connection.
type Statement struct {
	SQL  string
	stmt *sqlite.Stmt
}

// Exec runs the statement, which returns no rows. bind binds its parameters; nil: it has none.
func (s *Statement) Exec(conn *sqlite.Conn, bind func(q *sqlite.Stmt)) (err error) {
	if s.stmt == nil {
		if s.stmt, err = conn.Prepare(s.SQL); err != nil {
			return err
		}
	}
	if bind != nil {
		bind(s.stmt)
	}
	_, err = s.stmt.Step()
	return cmp.Or(err, s.stmt.Reset())
}

// An Insert inserts many rows with few statements, which is cheaper than one statement each.
type Insert struct {
	params    int // per row
	one, many Statement
}

const rowsPerInsert = 32

// NewInsert returns an Insert. into is the statement up to VALUES, row what is in the parentheses
// of one row, e.g. "?, ?, 0".
func NewInsert(into, row string) Insert {
	one := into + " VALUES (" + row + ")"
	return Insert{strings.Count(row, "?"), Statement{SQL: one}, Statement{SQL: one + strings.Repeat(", ("+row+")", rowsPerInsert-1)}}
}

// Rows inserts rows rows. bind binds a row to the parameters after index at. done, if not nil, is
// called after each statement, with the range of rows [from, end) that it inserted.
func (in *Insert) Rows(conn *sqlite.Conn, rows int, bind func(q *sqlite.Stmt, at, row int), done func(from, end int) error) error {
	for row := 0; row < rows; {
		s, n := &in.one, 1
		if rows-row >= rowsPerInsert {
			s, n = &in.many, rowsPerInsert
		}
		err := s.Exec(conn, func(q *sqlite.Stmt) {
			for i := range n {
				bind(q, i*in.params, row+i)
			}
		})
		if err == nil && done != nil {
			err = done(row, row+n)
		}
		if err != nil {
			return err
		}
		row += n
	}
	return nil
}
