package server

import (
	"slices"

	"facteur/flow/diag"
)

func (a *api) connections(req *request) (reply, error) {
	list := &ConnectionList{Connections: []Connection{}}
	if a.Connections != nil {
		found, err := a.Connections(req.Context())
		if err != nil {
			return reply{}, err
		}
		list.Connections = nonNil(found)
	}
	return ok(list)
}

// checkConnection checks that a connection is used by a flow, or stored. When the stored ones
// cannot be listed, any name passes.
func (a *api) checkConnection(req *request, name string) error {
	var known []string
	for _, p := range a.Flows.Plans() {
		known = append(known, p.Connections...)
	}
	if a.Connections != nil && !slices.Contains(known, name) {
		found, err := a.Connections(req.Context())
		if err != nil {
			return nil
		}
		for _, c := range found {
			known = append(known, c.Name)
		}
		if !slices.Contains(known, name) {
			slices.Sort(known)
			return problem(NotFound, diag.DidYouMean(name, "connections", slices.Compact(known)), "there is no connection %q", name)
		}
	}
	return nil
}
