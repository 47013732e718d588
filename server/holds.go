package server

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/schema"
)

var (
	pauseType  = schema.Of[PauseRequest]()
	resumeType = schema.Of[ResumeRequest]()
	eventType  = schema.Of[Event]()
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

func (a *api) pause(q *ask) (reply, error) {
	var body PauseRequest
	if err := a.body(q, pauseType, &body); err != nil {
		return reply{}, err
	}
	if err := named(body.Scope, body.Name); err != nil {
		return reply{}, err
	}
	if body.Scope == host.Flow {
		if _, err := a.plan(body.Name); err != nil {
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

// connection checks that there is a connection of a name: one that flows use, or that is
// stored. Where nobody can say what is stored, there may be.
func (a *api) connection(q *ask, name string) error {
	var known []string
	for _, p := range a.Flows.Plans() {
		known = append(known, p.Connections...)
	}
	if a.Connections != nil && !slices.Contains(known, name) {
		found, err := a.Options.Connections(q.Context())
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

func (a *api) resume(q *ask) (reply, error) {
	var body ResumeRequest
	if err := a.body(q, resumeType, &body); err != nil {
		return reply{}, err
	}
	if err := named(body.Scope, body.Name); err != nil {
		return reply{}, err
	}
	return done, a.Host.Resume(q.Context(), body.Scope, body.Name)
}

// named checks that what has a name is named.
func named(scope host.Scope, name string) error {
	message := ""
	switch {
	case scope == host.All && name != "":
		message = "all has no name"
	case scope != host.All && name == "":
		message = fmt.Sprintf("the name of the %s is missing", scope)
	default:
		return nil
	}
	p := problem(Invalid, "", "the body is wrong")
	p.Errors = []FieldError{{Path: "name", Message: message}}
	return p
}

func (a *api) connections(q *ask) (reply, error) {
	list := &ConnectionList{Connections: []Connection{}}
	if a.Connections != nil {
		found, err := a.Options.Connections(q.Context())
		if err != nil {
			return reply{}, err
		}
		list.Connections = listed(found)
	}
	return ok(list)
}

func (a *api) keys(q *ask) (reply, error) {
	list := &KeyList{Keys: []Key{}}
	if a.Keys != nil {
		found, err := a.Keys.List()
		if err != nil {
			return reply{}, err
		}
		list.Keys = listed(found)
	}
	return ok(list)
}

// deliver takes an event as if it had come by itself.
func (a *api) deliver(q *ask) (reply, error) {
	var body Event
	if err := a.body(q, eventType, &body); err != nil {
		return reply{}, err
	}
	var kind *call.Event
	if a.Event != nil {
		kind = a.Options.Event(body.Event)
	}
	if kind == nil {
		return reply{}, eventProblem("event", `"facteur actions" lists the kinds of events`, fmt.Sprintf("there is no event %q", body.Event))
	}
	e, err := a.event(q, kind, body)
	if err != nil {
		return reply{}, err
	}
	if err := a.Host.Deliver(q.Context(), e); err != nil {
		return reply{}, err
	}
	return reply{status: 202, body: &Delivered{e.ID}}, nil
}

func eventProblem(path, hint, message string) *Problem {
	p := problem(Invalid, "", "the event is wrong")
	p.Errors = []FieldError{{Path: path, Message: message, Hint: hint}}
	return p
}

// aheadAtMost is how far the clock of who delivers an event may be ahead of this one.
const aheadAtMost = 5 * time.Minute

// event brings an event into the form of its kind.
func (a *api) event(q *ask, kind *call.Event, body Event) (host.Event, error) {
	e := host.Event{ID: body.ID, Name: kind.Name, Connection: body.Connection, At: body.At}
	if e.ID == "" {
		e.ID = "api." + strings.ToLower(rand.Text())
	}
	now := time.Now()
	if e.At.IsZero() {
		e.At = now
	}
	if e.At.After(now.Add(aheadAtMost)) { // it would outlive the runs that wait for it, and the retention
		return e, eventProblem("at", "leave it out for now, and put what is to come into data, or check the two clocks",
			fmt.Sprintf("%s is to come: here it is %s", utc(e.At).Format(time.RFC3339), utc(now).Format(time.RFC3339)))
	}
	coerced, found := kind.Type.Coerce(complete(kind, body.Data, e.At))
	if p := invalid("data", "the event is wrong", found); p != nil {
		return e, p
	}
	e.Data, _ = coerced.(map[string]any)
	who, _ := e.Data[kind.By].(string)
	subject, err := kind.Subject(who)
	if err != nil {
		return e, eventProblem("data."+kind.By, "", err.Error())
	}
	e.Subjects = []string{subject}
	if a.Aliases != nil {
		others, err := a.Options.Aliases(q.Context(), kind.Name, subject)
		if err != nil {
			return e, err
		}
		for _, other := range others {
			if !slices.Contains(e.Subjects, other) {
				e.Subjects = append(e.Subjects, other)
			}
		}
	}
	return e, nil
}

// complete gives an event the fields that flows rely on and that were not given.
func complete(kind *call.Event, given map[string]any, at time.Time) map[string]any {
	data := make(map[string]any, len(kind.Type.Fields))
	maps.Copy(data, given)
	for _, f := range kind.Type.Fields {
		if _, ok := data[f.Name]; ok || f.Name == kind.By || f.Default != nil {
			continue
		}
		if data[f.Name] = f.Type.Zero(); f.Type.Kind == schema.Timestamp {
			data[f.Name] = at
		}
	}
	return data
}
