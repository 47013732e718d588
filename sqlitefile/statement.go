package sqlitefile

import (
	"strings"

	"zombiezen.com/go/sqlite"
)

// A Statement is prepared when it is first used, and kept. It is for one connection.
type Statement struct {
	SQL  string
	stmt *sqlite.Stmt
}

// On returns the statement, to be bound and given to Exec.
func (s *Statement) On(conn *sqlite.Conn) (*sqlite.Stmt, error) {
	var err error
	if s.stmt == nil {
		s.stmt, err = conn.Prepare(s.SQL)
	}
	return s.stmt, err
}

// Exec runs a prepared statement that returns no rows.
func Exec(s *sqlite.Stmt) error {
	_, err := s.Step()
	if reset := s.Reset(); err == nil {
		err = reset
	}
	return err
}

// An Insert inserts many rows with few statements: that costs less than one for each.
type Insert struct {
	bound     int // in a row
	one, many Statement
}

const perInsert = 32 // rows

// NewInsert returns an Insert for what a statement says before its VALUES, and in the
// parentheses of one row, e.g. "?, ?, 0".
func NewInsert(into, row string) Insert {
	one := into + " VALUES (" + row + ")"
	return Insert{strings.Count(row, "?"), Statement{SQL: one}, Statement{SQL: one + strings.Repeat(", ("+row+")", perInsert-1)}}
}

// Rows inserts so many rows. bind binds one of them to the parameters behind at. done, if
// not nil, is called after each statement with the rows from, to before end, that it had.
func (in *Insert) Rows(conn *sqlite.Conn, rows int, bind func(q *sqlite.Stmt, at, row int), done func(from, end int) error) error {
	for row := 0; row < rows; {
		s, n := &in.one, 1
		if rows-row >= perInsert {
			s, n = &in.many, perInsert
		}
		q, err := s.On(conn)
		if err != nil {
			return err
		}
		for i := range n {
			bind(q, i*in.bound, row+i)
		}
		if err = Exec(q); err == nil && done != nil {
			err = done(row, row+n)
		}
		if err != nil {
			return err
		}
		row += n
	}
	return nil
}
