// Package whatsapp sends messages through the WhatsApp Cloud API.
//
// SendMessage and MarkRead are the actions, Events the kinds of event that flows wait
// for. The types of messages are Go structs; what types cannot say are rules: see ExplainRule.
// What an error of the API means, and what the engine does about it, is in package graph.
//
// With a copy of the account's templates (package templates), flows are checked against what
// they send. What people ask Meta about an account is package account; what Meta tells in
// webhooks, package inbound.
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

	// Window tells whether a recipient wrote to a sender within 24 hours. nil: nobody knows.
	Window func(ctx context.Context, sender, recipient string) Window

	// OptedOut tells whether a recipient wants no marketing from a sender. nil: nobody knows.
	OptedOut func(ctx context.Context, sender, recipient string) bool

	// Once claims a key for a send. It returns the id of the message that the send
	// would repeat, "" when the send may go on, or an *UnsettledError. nil: `once` cannot
	// be used.
	Once func(ctx context.Context, claim Claim) (repeats string, err error)

	// Told is told what became of each send of which that is known: a claim of one that
	// may have happened stays. nil: nobody is told.
	Told func(ctx context.Context, a Answer)

	// Templates gives the project's copy of the account's templates, nil for none. It is
	// asked where a flow has a template message when the flow is checked, and before a
	// call only for somebody who wants no marketing: else a copy that is out of date
	// stops no send.
	Templates func() (*templates.Set, error)

	// Rate is how many messages a second Meta lets each number of a connection send; 0: 80,
	// which is what numbers begin with. nil: that for all.
	Rate func(connection string) int

	// Book is shared between the actions that check messages and those that send them,
	// where they are not of one Set. nil: one of its own.
	Book *AddressBook
}

// A Window is what is known about the 24 hours in which anything may be written.
type Window string

// The states of a window.
const (
	WindowUnknown Window = ""
	WindowOpen    Window = "open"
	WindowShut    Window = "shut"
)

// HTTP is what makes requests to the API: Client, as it is used here.
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

// roundTrip makes a request as the client does, without what it does beforehand to follow
// a redirect.
func (o Options) roundTrip() func(*http.Request) (*http.Response, error) {
	c := o.HTTP()
	if c.Timeout > 0 {
		return c.Do
	}
	return c.Transport.RoundTrip
}
