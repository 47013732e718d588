// Package whatsapp sends messages through the WhatsApp Cloud API.
//
// SendMessage and MarkRead are the actions, Events the kinds of event that flows wait for.
// Message types are Go structs; a demand of Meta's that a Go type cannot express is a rule:
// see ExplainRule. Package graph says what an error of the API means and what the engine
// does about it.
//
// With a copy of the account's templates (package templates), flows are also checked
// against the templates that they send. Package account queries and changes the account
// itself; package inbound reads webhooks.
//
// The API has no idempotency key: a send whose answer is lost may have happened.
// Nothing in this package sends a message twice for one call.
package whatsapp

import (
	"context"
	"net/http"

	"facteur/actions"
	"facteur/actions/whatsapp/templates"
)

// Options is what the actions need from outside.
type Options struct {
	// Client makes the requests; nil: one of its own, over actions.Transport. It follows
	// no redirects and its Jar is not used; its Transport is where recordings and
	// simulators plug in.
	Client *http.Client

	// Window tells whether a recipient wrote to a sender within 24 hours. nil: not known.
	Window func(ctx context.Context, sender, recipient string) Window

	// OptedOut tells whether a recipient wants no marketing from a sender. nil: not known.
	OptedOut func(ctx context.Context, sender, recipient string) bool

	// Once claims a key for a send. It returns the id of the message that the send
	// would repeat, "" when the send may go on, or an *UnsettledError. nil: `once` cannot
	// be used.
	Once func(ctx context.Context, claim Claim) (repeats string, err error)

	// OnAnswer is called after each send whose outcome is known. It is not called for a
	// send that may have happened, so the claim of such a send stays. nil: not called.
	OnAnswer func(ctx context.Context, a Answer)

	// Templates gives the project's copy of the account's templates, nil for none. It is
	// called when a flow that sends a template is checked. Before a send it is called only
	// for recipients who opted out of marketing: a copy that is out of date stops no other.
	Templates func() (*templates.Set, error)

	// Rate is how many messages a second Meta lets each number of a connection send. 0, or
	// a nil Rate: 80, Meta's limit for a new number.
	Rate func(connection string) int

	// Recipients is shared between the actions that check messages and those that send
	// them, where these are not in one Set. nil: a new cache.
	Recipients *RecipientCache
}

// A Window is the state of the 24-hour customer service window, in which any type of
// message may be sent.
type Window string

// The states of a window.
const (
	WindowUnknown Window = ""
	WindowOpen    Window = "open"
	WindowShut    Window = "shut"
)

// HTTP returns a copy of Client that follows no redirects and keeps no cookies.
func (o Options) HTTP() *http.Client {
	c := http.Client{}
	if o.Client != nil {
		c = *o.Client
	}
	if c.Transport == nil {
		c.Transport = actions.Transport()
	}
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// roundTrip returns the transport's RoundTrip, which saves what http.Client.Do prepares for
// redirects. A client with a timeout needs Do, which enforces it.
func (o Options) roundTrip() func(*http.Request) (*http.Response, error) {
	c := o.HTTP()
	if c.Timeout > 0 {
		return c.Do
	}
	return c.Transport.RoundTrip
}
