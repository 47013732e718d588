package project

import (
	"errors"
	"fmt"

	"facteur/vault"
)

// An Error is a mistake in a project, or a failure of the system that it runs on.
type Error struct {
	Err    error
	Hint   string // how to mend it; "" where there is none
	System bool   // the disk, a database or a server failed; otherwise it is a mistake of the user's
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// UserError returns an Error about a mistake of the user's. The hint may be "".
func UserError(hint, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Hint: hint}
}

// SystemError returns an Error about the disk, a database or a server. The hint may be "".
func SystemError(err error, hint string) error {
	return &Error{Err: err, Hint: hint, System: true}
}

// Explain splits an error into its message and the outermost hint, "" if there is none.
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
