// Package actions turns typed Go functions into the actions of flows.
//
// The author of an action writes a function from a connection and an input to an
// output, and gives it to Define, which infers the schemas. A Set collects actions
// and performs calls: it resolves the connection by its name, decodes the input, runs
// the function, and returns the call's outcome. With Permanent, Retry, After and Unknown a
// function says whether a call that failed may have happened; a plain error says nothing,
// so the call may have. Exchange makes one HTTP request with errors of that kind.
package actions

import (
	"context"
	"time"

	"facteur/flow/call"
	"facteur/flow/schema"
	"facteur/vault"
)

// DefaultTimeout bounds an attempt when the step says nothing.
const DefaultTimeout = 30 * time.Second

// A Spec describes an action.
type Spec[Conn any] struct {
	// Signature is what the language knows of the action. Define fills in In and Out.
	call.Signature

	// Connect makes the typed connection; its error is shown to people and must not
	// hold a secret. nil: the function gets the zero Conn.
	Connect func(vault.Connection) (Conn, error)
}

// An Action is something that a flow can do. Make one with Define.
type Action struct {
	signature    *call.Signature
	emptyOutputs func() map[string]any // the outputs that are always present
	run          func(ctx context.Context, conn *vault.Connection, in map[string]any) (map[string]any, error)
}

// Define makes an action of a function. Its inputs and outputs are the fields of In
// and Out; the outputs count also when the function returns an error.
//
// The function must return soon after its context ends. CallOf gives it the call.
func Define[Conn, In, Out any](spec Spec[Conn], do func(ctx context.Context, conn Conn, in In) (Out, error)) Action {
	signature := spec.Signature
	signature.In, signature.Out = schema.Of[In](), schema.Of[Out]()
	a := Action{signature: &signature}
	a.emptyOutputs = func() map[string]any { return outputs(*new(Out)) }
	a.run = func(ctx context.Context, vc *vault.Connection, values map[string]any) (map[string]any, error) {
		var (
			conn Conn
			in   In
			out  Out
			err  error
		)
		if vc != nil && spec.Connect != nil {
			if conn, err = spec.Connect(*vc); err != nil {
				return outputs(out), refuse("connection %q cannot be used: %v", vc.Name, err)
			}
		}
		if err := schema.Decode(values, &in); err != nil {
			return outputs(out), Permanent(&call.Error{Code: "invalid_input", Class: "permanent", Message: err.Error()})
		}
		out, err = do(ctx, conn, in)
		return outputs(out), err
	}
	return a
}

// Signature returns what the language knows of the action.
func (a Action) Signature() *call.Signature { return a.signature }

func outputs(out any) map[string]any {
	m, _ := schema.Encode(out).(map[string]any)
	return m
}

// CallOf returns the call that a context belongs to: its key, its attempt, whether
// its author says that it may be repeated.
func CallOf(ctx context.Context) call.Call {
	if c, ok := ctx.Value(callKey{}).(*callContext); ok {
		return c.call
	}
	return call.Call{}
}

// A callContext is the context of a call.
type callContext struct {
	context.Context
	call call.Call
}

type callKey struct{}

func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}
