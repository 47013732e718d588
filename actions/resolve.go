package actions

import (
	"context"
	"errors"
	"fmt"

	"facteur/flow/call"
	"facteur/vault"
)

// errHeld marks errors of the vault that hold the call back: nothing was sent.
var errHeld = errors.New("held")

// resolve finds the connection of a call; nil when the call has none.
func (s *Set) resolve(ctx context.Context, sig *call.Signature, c *call.Call) (*vault.Connection, error) {
	switch {
	case sig.App == "" && c.Connection != "":
		return nil, refuse("%s takes no connection, but the call names %q", sig.Name, c.Connection)
	case c.Connection == "" && (sig.App == "" || sig.ConnectionOptional):
		return nil, contextError(ctx)
	case c.Connection == "":
		return nil, refuse("%s needs a connection for %s", sig.Name, sig.App)
	case s.connections == nil:
		return nil, refuse("there is no vault to find connection %q in", c.Connection)
	}
	if err := contextError(ctx); err != nil {
		return nil, err
	}
	conn, err := s.connections.Resolve(ctx, c.Connection)
	if err != nil {
		if over := contextError(ctx); over != nil {
			return nil, over
		}
		if held, passes := holds(err); held {
			return nil, &Failure{Status: call.Failed, Retryable: passes, Cause: errHeld,
				Err: &call.Error{Code: "connection", Class: "surroundings", Message: err.Error()}}
		}
		return nil, refuse("%v", err)
	}
	if string(conn.App) != sig.App {
		return nil, refuse("connection %q is for %s, but %s needs one for %s", c.Connection, conn.App, sig.Name, sig.App)
	}
	return &conn, nil
}

// holds tells of an error of the vault whether it says nothing of the connection, so that
// calls over it are held, and whether that passes without anybody changing anything here.
func holds(err error) (held, passes bool) {
	var temporary interface{ Temporary() bool }
	passes = errors.As(err, &temporary) && temporary.Temporary()
	e, ok := errors.AsType[*vault.BackendError](err)
	return passes || ok && e.Unreadable(), passes
}

func refuse(format string, args ...any) error {
	return Permanent(&call.Error{Code: "connection", Class: "connection", Message: fmt.Sprintf(format, args...)})
}

// contextError tells that a context ended before anything was tried.
func contextError(ctx context.Context) error {
	switch {
	case ctx.Err() == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Failure{Status: call.Failed, Retryable: true, Cause: ctx.Err(),
			Err: &call.Error{Code: "timeout", Class: "timeout", Message: "the time was over before the call began"}}
	}
	return &Failure{Status: call.Cancelled, Cause: ctx.Err(),
		Err: &call.Error{Code: "cancelled", Class: "cancelled", Message: "cancelled before the call began"}}
}
