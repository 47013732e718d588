package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"facteur/project"
	"facteur/server"
	"facteur/vault"
)

// The exit codes.
const (
	exitFailed = 1 // the run or a test failed
	exitUser   = 2 // the flow, the message or the command line is wrong
	exitSystem = 3 // the vault, the database, the network …
)

// An exitError ends the command with a code. Without an error, all was printed already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// failed ends the command with an error about the run or the test: exit 1.
func failed(err error, hint string) error {
	return &exitError{exitFailed, &project.Error{Err: err, Hint: hint}}
}

// exitOf gives an error its exit code, and the errors of other packages their hints. What is not
// known to be of the system is a mistake of the user's.
func exitOf(err error) *exitError {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*project.Error](err); ok {
		if e.System {
			return &exitError{exitSystem, err}
		}
		return &exitError{exitUser, err}
	}
	if p, ok := errors.AsType[*server.Problem](err); ok {
		return exitOfProblem(p)
	}
	if e, ok := errors.AsType[*server.UnreachableError](err); ok {
		return &exitError{exitSystem, unreachable(e)}
	}
	if isError[*vault.BackendError](err) || isError[*vault.UnknownConnectionError](err) {
		return &exitError{exitSystem, err}
	}
	if _, flags, ok := strings.Cut(err.Error(), "none of the others can be; ["); ok { // cobra's own
		flags, _, _ = strings.Cut(flags, "]")
		err = project.UserError(`see "facteur --help"`, "--%s exclude each other", strings.ReplaceAll(flags, " ", " and --"))
	}
	return &exitError{exitUser, err}
}

// exitOfProblem is exitOf for what a daemon refused.
func exitOfProblem(p *server.Problem) *exitError {
	code, hint := exitSystem, p.Hint
	switch p.Kind() {
	case server.Conflict, server.Rejected:
		code = exitFailed
	case server.BadRequest, server.Invalid, server.NotFound, server.KeyReused, server.InvalidFlows:
		code = exitUser
	case server.Unauthorized:
		hint = "give a key with --key-file FILE or FACTEUR_API_KEY; create one with facteur keys create"
	}
	for _, wrong := range p.Errors {
		hint = cmp.Or(hint, wrong.Hint)
	}
	return &exitError{code, &project.Error{Err: p, Hint: hint}}
}

// unreachable is the error that a daemon does not answer, with its hint.
func unreachable(e *server.UnreachableError) error {
	hint := "check its address, and that it is running"
	if isError[*tls.CertificateVerificationError](e) {
		hint = "trust its certificate with SSL_CERT_FILE=cert.pem, or run this command on the daemon's machine, in the project's folder, without --server"
	}
	return project.SystemError(e, hint)
}

func isError[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
