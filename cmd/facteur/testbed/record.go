package testbed

import (
	"context"
	"net/http"

	"facteur/actions"
	"facteur/flow/call"
	"facteur/flow/record"
	"facteur/flow/suite"
	"facteur/project"
)

// record makes the cases of a file send for real, with the project's connections, and scrubs their
// secrets from the recording.
func (p *Project) record(o *suite.Options) error {
	v, err := p.OpenVault(nil)
	if err != nil {
		return err
	}
	scrubber := record.NewScrubber()
	o.Record, o.Scrub = network{allowed: p.Policy().Transport(), open: http.DefaultTransport}, scrubber.Scrub
	o.Do = func(w suite.Environment) (call.Do, error) {
		set, err := project.NewCatalog(actions.ReportSecrets(v, scrubber.Add), w.RoundTripper, p.Policy(), p.known(w))
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, c call.Call) call.Outcome {
			return set.Do(context.WithValue(ctx, actionKey{}, c.Action), c)
		}, nil
	}
	return nil
}

// A network sends requests for real; those of http.request only to hosts that the project allows.
type network struct{ allowed, open http.RoundTripper }

type actionKey struct{}

// RoundTrip implements http.RoundTripper.
func (n network) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Context().Value(actionKey{}) == "http.request" {
		return n.allowed.RoundTrip(req)
	}
	return n.open.RoundTrip(req)
}
