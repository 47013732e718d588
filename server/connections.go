package server

import (
	"slices"

	"facteur/flow/diag"
)

func (a *api) connections(req *request) (reply, error) {
	found, err := a.Connections(req.Context())
	if err != nil {
		return reply{}, err
	}
	return ok(&ConnectionList{nonNil(found)})
}

// checkConnection checks that a connection is used by a flow, or stored. When the stored ones
// cannot be listed, any name passes.
func (a *api) checkConnection(req *request, name string) error {
	var known []string
	for _, p := range a.Flows.Plans() {
		known = append(known, p.Connections...)
	}
	if slices.Contains(known, name) {
		return nil
	}
	stored, err := a.Connections(req.Context())
	if err != nil {
		return nil
	}
	for _, c := range stored {
		known = append(known, c.Name)
	}
	if slices.Contains(known, name) {
		return nil
	}
	slices.Sort(known)
	return problem(NotFound, diag.DidYouMean(name, "connections", slices.Compact(known)), "there is no connection %q", name)
}
