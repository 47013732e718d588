package project

import (
	"errors"
	"fmt"

	"facteur/vault"
)

// An Error says what is wrong with a project, or around it, and how to mend it.
type Error struct {
	Err    error
	Hint   string // "" where there is none
	Around bool   // the disk, a database or a server does not work; else somebody wrote something wrong
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Wrong is an Error about what somebody wrote. The hint may be "".
func Wrong(hint, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// Surroundings is an Error about what is around a project. The hint may be "".
func Surroundings(err error, hint string) error {
	return &Error{Err: err, Hint: hint, Around: true}
}

// Explain splits an error into what is wrong and how to mend it, where it knows both: the
// hint is "" else.
func Explain(err error) (text, hint string) {
	text = err.Error()
	if e, ok := errors.AsType[*vault.BackendError](err); ok {
		text, hint = e.Summary(), e.Hint
	} else if e, ok := errors.AsType[*vault.InvalidFieldError](err); ok {
		text, hint = e.Summary(), e.Hint
	} else if e, ok := errors.AsType[*vault.UnknownConnectionError](err); ok {
		hint = "add it with: facteur vault set " + e.Name
	}
	for within := err; within != nil; {
		e, ok := errors.AsType[*Error](within)
		if !ok {
			break
		}
		if e.Hint != "" {
			return text, e.Hint
		}
		within = e.Err
	}
	return text, hint
}
