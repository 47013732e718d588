package project

import "fmt"

// An Error says what is wrong with a project, or around it, and how to mend it.
type Error struct {
	Err    error
	Hint   string // "" where there is none
	Around bool   // the disk or a database does not work; else somebody wrote something wrong
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

func wrong(hint, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

func surroundings(err error, hint string) error {
	return &Error{Err: err, Hint: hint, Around: true}
}
