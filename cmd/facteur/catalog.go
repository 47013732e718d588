package main

import (
	"net/http"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/actions/webhook"
	"facteur/actions/whatsapp"
	"facteur/flow/call"
)

// newCatalog lists what flows can do and what they can wait for: here and nowhere else.
// A transport, when not nil, stands for the network.
func newCatalog(connections actions.Connections, transport http.RoundTripper, policy httpcall.Policy, o whatsapp.Options) (*actions.Set, error) {
	if transport != nil {
		o.Client = &http.Client{Transport: transport}
	}
	set, err := actions.NewSet(connections,
		whatsapp.SendMessage(o),
		whatsapp.MarkRead(o),
		httpcall.Request(policy, transport),
	)
	if err != nil {
		return nil, err
	}
	return set, set.Events(append(whatsapp.Events(), webhook.Event())...)
}

// descriptions is the catalogue for those who only look things up.
func descriptions() (*actions.Set, error) {
	return newCatalog(nil, nil, httpcall.Policy{}, whatsapp.Options{})
}

// contactOf gives a recipient the form by which runs are found.
func contactOf(catalog call.Catalog) func(string) string {
	return func(name string) string {
		if subject, err := catalog.Event("whatsapp.message").Subject(name); err == nil {
			return subject
		}
		return name
	}
}
