package server

import (
	"fmt"

	"facteur/flow/host"
)

func (a *api) holds(q *ask) (reply, error) {
	holds, err := a.Host.Holds(q.Context())
	if err != nil {
		return reply{}, err
	}
	list := &HoldList{Holds: make([]Hold, len(holds))}
	for i, h := range holds {
		list.Holds[i] = a.View.Hold(h)
	}
	return ok(list)
}

func (a *api) pause(q *ask, body PauseRequest) (reply, error) {
	if err := named(body.Scope, body.Name); err != nil {
		return reply{}, err
	}
	if body.Scope == host.Flow {
		if _, err := a.plan(body.Name); err != nil && !a.ran(q, body.Name) {
			return reply{}, err
		}
	}
	if body.Scope == host.Connection {
		if err := a.connection(q, body.Name); err != nil {
			return reply{}, err
		}
	}
	return done, a.Host.Pause(q.Context(), body.Scope, body.Name, body.Reason)
}

// ran tells whether there are runs of a flow: they go on also when the project has it no more.
func (a *api) ran(q *ask, flow string) bool {
	runs, _, err := a.Host.List(q.Context(), host.Filter{Flow: flow, Limit: 1})
	return err == nil && len(runs) > 0
}

func (a *api) resume(q *ask, body ResumeRequest) (reply, error) {
	if err := named(body.Scope, body.Name); err != nil {
		return reply{}, err
	}
	return done, a.Host.Resume(q.Context(), body.Scope, body.Name)
}

// named checks that what has a name is named.
func named(scope host.Scope, name string) error {
	switch {
	case scope == host.All && name != "":
		return wrong("the body is wrong", FieldError{Path: "name", Message: "all has no name"})
	case scope != host.All && name == "":
		return wrong("the body is wrong", FieldError{Path: "name", Message: fmt.Sprintf("the name of the %s is missing", scope)})
	}
	return nil
}
