package server

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/schema"
)

// deliver hands the host an event as if its source had sent it.
func (a *api) deliver(req *request, body Event) (reply, error) {
	kind := a.Event(body.Event)
	if kind == nil {
		return reply{}, invalidRequest("the event is wrong", FieldError{Path: "event", Message: fmt.Sprintf("there is no event %q", body.Event), Hint: `"facteur actions" lists the kinds of events`})
	}
	e, err := a.event(req, kind, body)
	if err != nil {
		return reply{}, err
	}
	if err := a.Host.Deliver(req.Context(), e); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusAccepted, body: &Delivered{e.ID}}, nil
}

// maxAhead is how far the clock of an event's sender may be ahead of this one.
const maxAhead = 5 * time.Minute

// event checks an event, and brings it into the form of its kind.
func (a *api) event(req *request, kind *call.Event, body Event) (host.Event, error) {
	e := host.Event{ID: body.ID, Name: kind.Name, Connection: body.Connection, At: body.At}
	if e.ID == "" {
		e.ID = "api." + strings.ToLower(rand.Text())
	}
	now := time.Now()
	if e.At.IsZero() {
		e.At = now
	}
	if e.At.After(now.Add(maxAhead)) { // it would outlive the runs that wait for it, and the retention
		return e, invalidRequest("the event is wrong", FieldError{
			Path: "at", Message: fmt.Sprintf("%s is in the future: the time here is %s", e.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)),
			Hint: "leave it out to use the current time and put a future time into data, or check both clocks",
		})
	}
	coerced, found := kind.Type.Coerce(fillDefaults(kind, body.Data, e.At))
	if p := invalidValue("data", "the event is wrong", found); p != nil {
		return e, p
	}
	e.Data, _ = coerced.(map[string]any)
	who, _ := e.Data[kind.By].(string)
	subject, err := kind.Subject(who)
	if err != nil {
		return e, invalidRequest("the event is wrong", FieldError{Path: "data." + kind.By, Message: err.Error()})
	}
	e.Subjects = []string{subject}
	others, err := a.Aliases(req.Context(), kind.Name, subject)
	for _, other := range others {
		if !slices.Contains(e.Subjects, other) {
			e.Subjects = append(e.Subjects, other)
		}
	}
	return e, err
}

// fillDefaults adds the fields that flows rely on and that are missing: zero values, and the
// event's time for times.
func fillDefaults(kind *call.Event, given map[string]any, at time.Time) map[string]any {
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
