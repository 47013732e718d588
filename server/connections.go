package server

import (
	"slices"

	"facteur/flow/diag"
)

func (a *api) connections(q *ask) (reply, error) {
	list := &ConnectionList{Connections: []Connection{}}
	if a.Connections != nil {
		found, err := a.Connections(q.Context())
		if err != nil {
			return reply{}, err
		}
		list.Connections = listed(found)
	}
	return ok(list)
}

// connection checks that there is a connection of a name: one that flows use, or that is
// stored. Where nobody can say what is stored, there may be.
func (a *api) connection(q *ask, name string) error {
	var known []string
	for _, p := range a.Flows.Plans() {
		known = append(known, p.Connections...)
	}
	if a.Connections != nil && !slices.Contains(known, name) {
		found, err := a.Connections(q.Context())
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
