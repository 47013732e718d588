package actions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"facteur/flow/call"
	"facteur/vault"
)

// Connections finds credentials by name. A *vault.Vault is one.
type Connections interface {
	// Resolve returns the connection of that name.
	Resolve(ctx context.Context, name string) (vault.Connection, error)
	// Refresh is Resolve past any cache.
	Refresh(ctx context.Context, name string) (c vault.Connection, changed bool, err error)
}

// A Set is the actions that flows may use, and the events that they may wait for.
// It implements call.Catalog, and its Do is a call.Do. It is safe for concurrent use
// once it is set up.
type Set struct {
	// Panicked, if set, is called for a function that panicked. The stack and the value
	// go nowhere else: they may hold personal data.
	Panicked func(c call.Call, value any, stack []byte)

	redactor    redactor
	connections Connections
	actions     map[string]Action
	events      map[string]*call.Event
}

// NewSet returns a set of the actions. Two of one name are an error.
func NewSet(connections Connections, actions ...Action) (*Set, error) {
	s := &Set{connections: connections, actions: map[string]Action{}, events: map[string]*call.Event{}}
	for _, a := range actions {
		name := a.signature.Name
		if name == "" {
			return nil, errors.New("an action has no name")
		}
		if _, ok := s.actions[name]; ok {
			return nil, fmt.Errorf("there are two actions named %q", name)
		}
		s.actions[name] = a
	}
	return s, nil
}

// Events adds event kinds. Two of one name are an error.
func (s *Set) Events(events ...call.Event) error {
	for _, e := range events {
		if _, ok := s.events[e.Name]; ok {
			return fmt.Errorf("there are two event kinds named %q", e.Name)
		}
		s.events[e.Name] = &e
	}
	return nil
}

// Action returns the signature of that name, or nil.
func (s *Set) Action(name string) *call.Signature { return s.actions[name].signature }

// Event returns the event kind of that name, or nil.
func (s *Set) Event(name string) *call.Event { return s.events[name] }

// Names returns the names of all actions and of all event kinds, sorted.
func (s *Set) Names() (actions, events []string) {
	return slices.Sorted(maps.Keys(s.actions)), slices.Sorted(maps.Keys(s.events))
}

// Do performs one call and returns exactly one outcome, also when ctx ends or the
// function panics. No secret of the connection is in the outcome.
func (s *Set) Do(ctx context.Context, c call.Call) call.Outcome {
	a, ok := s.actions[c.Action]
	if !ok {
		return call.Outcome{Status: call.Failed, Error: &call.Error{
			Code: "unknown_action", Class: "permanent", Message: fmt.Sprintf("there is no action %q", c.Action)}}
	}
	if c.Input == nil {
		c.Input = map[string]any{}
	}
	made := &callContext{ctx, c}
	conn, err := s.resolve(made, a.signature, &made.call)
	if err != nil {
		o := outcome(a.emptyOutputs(), err, true)
		o.Held = errors.Is(err, errHeld)
		return o
	}
	timeout := DefaultTimeout // it bounds the attempt, not the wait for the vault
	if c.Timeout > 0 {
		timeout = c.Timeout
	}
	ctx, stop := context.WithTimeout(made, timeout)
	defer stop()
	out, err := s.try(ctx, a, &made.call, conn)
	if f := authFailure(err); f != nil && conn != nil {
		conn, out, err = s.tryRefreshed(ctx, a, &made.call, conn, out, f)
	}
	o := outcome(out, err, s.idempotent(a, &made.call))
	if conn != nil {
		o.Held = errors.Is(err, errHeld)
		o.Refused = !o.Held && authFailure(err) != nil
		s.redactor.redact(conn, a.signature.Out, &o)
	}
	return o
}

func (s *Set) idempotent(a Action, c *call.Call) bool {
	return c.Idempotent || a.signature.Idempotent != nil && a.signature.Idempotent(c.Input)
}

// tryRefreshed repeats a call that was refused for its credentials, if the vault has
// others by now, and returns those that it was made with. Where the vault cannot say, the
// call is held: nothing was accepted.
func (s *Set) tryRefreshed(ctx context.Context, a Action, c *call.Call, conn *vault.Connection, out map[string]any, f *Failure) (*vault.Connection, map[string]any, error) {
	fresh, _, err := s.connections.Refresh(ctx, c.Connection)
	switch {
	case errors.Is(err, context.Canceled):
		return conn, out, f
	case err != nil:
		told := f.flowError()
		told.Message += fmt.Sprintf(" (the vault could not be asked for a newer one: %v)", err)
		refused := *f
		refused.Err = &told
		if held, _ := holds(err); held || errors.Is(err, context.DeadlineExceeded) {
			refused.Cause = errHeld
		}
		return conn, out, &refused
	case fresh.Version == conn.Version:
		return conn, out, f
	}
	out, err = s.try(ctx, a, c, &fresh)
	return &fresh, out, err
}

// try runs the function once and turns a panic into an error.
func (s *Set) try(ctx context.Context, a Action, c *call.Call, conn *vault.Connection) (out map[string]any, err error) {
	defer func() {
		if v := recover(); v != nil {
			if s.Panicked != nil {
				s.Panicked(*c, v, debug.Stack())
			}
			out = a.emptyOutputs()
			maps.Copy(out, a.signature.UnknownOutput)
			err = Unknown(&call.Error{Code: "panic", Class: "bug",
				Message: c.Action + " broke while it ran, and whether the call happened is not known: this is a fault of the program"})
		}
	}()
	return a.run(ctx, conn, c.Input)
}
