package project

import (
	"net/http"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/actions/webhook"
	"facteur/actions/whatsapp"
	"facteur/flow/call"
)

// NewCatalog returns the actions and events of flows. It is the only list of them. A transport
// that is not nil replaces the network.
func NewCatalog(connections actions.Connections, transport http.RoundTripper, policy httpcall.Policy, o whatsapp.Options) (*actions.Set, error) {
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

// Descriptions returns the catalogue for looking things up: its actions cannot be run.
func Descriptions() (*actions.Set, error) {
	return NewCatalog(nil, nil, httpcall.Policy{}, whatsapp.Options{})
}

// ContactOf returns a function that normalises a recipient, so that runs can be found by it.
func ContactOf(catalog call.Catalog) func(string) string {
	return func(name string) string {
		if subject, err := catalog.Event("whatsapp.message").Subject(name); err == nil {
			return subject
		}
		return name
	}
}
