package server

import (
	"context"
	"errors"

	"facteur/flow/host"
	"facteur/flow/machine"
)

// problemOf turns an error into a problem. Internals go to the log, and only to callers with the
// scope admin.
func (a *api) problemOf(req *request, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*host.NotFoundError](err); ok {
		return problem(NotFound, "", "%v", e)
	}
	if e, ok := errors.AsType[*host.StateError](err); ok {
		p := problem(Conflict, e.Hint, "%v", e)
		p.RunID = e.Run
		return p
	}
	if e, ok := errors.AsType[*host.ReusedError](err); ok {
		p := problem(KeyReused, "use a new key for a new run, or the same inputs for the same run", "the idempotency key was used before, with different inputs, by the run %s", e.Run)
		p.RunID = e.Run
		return p
	}
	if e, ok := errors.AsType[*host.TooLargeError](err); ok {
		return problem(TooLarge, "", "%v", e)
	}
	if e, ok := errors.AsType[*machine.MismatchError](err); ok {
		return problem(Conflict, "the run cannot continue; start it again with rerun", "%v", e)
	}
	if _, ok := errors.AsType[*host.StoppingError](err); ok {
		return problem(Stopping, "try again when the daemon is running again", "the daemon is stopping and accepts nothing new")
	}
	if errors.Is(err, context.Canceled) && req.Context().Err() != nil {
		return problem(Internal, "", "the client has disconnected")
	}
	text := a.View.text(err.Error())
	a.Log.Error("a request failed", "method", req.Method, "path", a.View.text(req.URL.Path), "error", text)
	if t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err); ok && t.Temporary() || a.Unreachable(err) {
		return unavailable(req, text)
	}
	if req.may(ScopeAdmin) {
		return problem(Internal, "", "%s", text)
	}
	return problem(Internal, "see the daemon's log", "the daemon could not do this")
}

// unavailable is the problem with what an operator can repair: a full disk, a sealed vault. The
// request was not acknowledged, and may be repeated.
func unavailable(req *request, text string) *Problem {
	const hint = "try again, a start with the same Idempotency-Key; GET /readyz shows what is wrong"
	if req.may(ScopeAdmin) {
		return problem(Unavailable, hint, "%s", text)
	}
	return problem(Unavailable, hint, "the daemon cannot write to its storage, or cannot read it")
}
