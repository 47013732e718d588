package server

import (
	"fmt"

	"facteur/flow/host"
)

func (a *api) holds(req *request) (reply, error) {
	holds, err := a.Host.Holds(req.Context())
	if err != nil {
		return reply{}, err
	}
	list := &HoldList{Holds: make([]Hold, len(holds))}
	for i, h := range holds {
		list.Holds[i] = a.View.Hold(h)
	}
	return ok(list)
}

func (a *api) pause(req *request, body PauseRequest) (reply, error) {
	if err := checkName(body.Scope, body.Name); err != nil {
		return reply{}, err
	}
	if body.Scope == host.Flow {
		if _, err := a.plan(body.Name); err != nil && !a.hasRuns(req, body.Name) {
			return reply{}, err
		}
	}
	if body.Scope == host.Connection {
		if err := a.checkConnection(req, body.Name); err != nil {
			return reply{}, err
		}
	}
	return done, a.Host.Pause(req.Context(), body.Scope, body.Name, body.Reason)
}

// hasRuns reports whether there are runs of a flow: they go on also when the flow has left the
// project.
func (a *api) hasRuns(req *request, flow string) bool {
	runs, _, err := a.Host.List(req.Context(), host.Filter{Flow: flow, Limit: 1})
	return err == nil && len(runs) > 0
}

func (a *api) resume(req *request, body ResumeRequest) (reply, error) {
	if err := checkName(body.Scope, body.Name); err != nil {
		return reply{}, err
	}
	return done, a.Host.Resume(req.Context(), body.Scope, body.Name)
}

// checkName checks that there is a name where the scope has one.
func checkName(scope host.Scope, name string) error {
	switch {
	case scope == host.All && name != "":
		return invalidRequest("the body is wrong", FieldError{Path: "name", Message: "the scope all takes no name"})
	case scope != host.All && name == "":
		return invalidRequest("the body is wrong", FieldError{Path: "name", Message: fmt.Sprintf("the name of the %s is missing", scope)})
	}
	return nil
}
