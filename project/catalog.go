package project

import (
	"net/http"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/actions/webhook"
	"facteur/actions/whatsapp"
	"facteur/flow/call"
)

// NewCatalog lists what flows can do and what they can wait for: here and nowhere else.
// A transport, when not nil, stands for the network.
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

// Descriptions is the catalogue for those who only look things up.
func Descriptions() (*actions.Set, error) {
	return NewCatalog(nil, nil, httpcall.Policy{}, whatsapp.Options{})
}

// ContactOf gives a recipient the form by which runs are found.
func ContactOf(catalog call.Catalog) func(string) string {
	return func(name string) string {
		if subject, err := catalog.Event("whatsapp.message").Subject(name); err == nil {
			return subject
		}
		return name
	}
}
