package server

import (
	"fmt"
	"net/http"
	"strings"

	"facteur/flow/schema"
)

// A Problem is an error as the API tells it: the problem details of RFC 9457, with
// what helps people to mend it. It is an error, and what a Client's methods return.
type Problem struct {
	Type   string       `json:"type"`  // "urn:facteur:problem:" and one of the kinds
	Title  string       `json:"title"` // the same for all of a type
	Status int          `json:"status"`
	Detail string       `json:"detail"`           // what is wrong here
	Hint   string       `json:"hint,omitempty"`   // how to mend it
	RunID  string       `json:"run_id,omitempty"` // the run that it is about
	Errors []FieldError `json:"errors,omitempty"` // each thing that is wrong in what was sent
	// Diagnostics are what is wrong in the project's flows.
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
}

// A FieldError is one thing that is wrong in what was sent.
type FieldError struct {
	Path    string `json:"path"` // such as inputs.items[2].price, query.limit or header.Idempotency-Key
	Rule    string `json:"rule,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// The kinds of problems. Kinds may be added; names and meanings never change.
const (
	BadRequest       = "bad-request"        // what was sent cannot be read
	Invalid          = "invalid"            // what was sent breaks rules, which Errors names
	Unauthorized     = "unauthorized"       // no key, or one that is not valid
	Forbidden        = "forbidden"          // the key's scope does not allow it, or a web page asks
	NotFound         = "not-found"          // no such path, run, flow, step or hold
	MethodNotAllowed = "method-not-allowed" // the path has other methods
	TooSlow          = "too-slow"           // the body did not arrive in time
	Conflict         = "conflict"           // the run is not in a state for it
	Rejected         = "rejected"           // by the flow's concurrency
	KeyReused        = "key-reused"         // an idempotency key came with other inputs
	TooLarge         = "too-large"          // the body is over the limit
	NotJSON          = "not-json"           // the body is of another kind
	InvalidFlows     = "invalid-flows"      // a reload found mistakes; nothing changed
	Busy             = "busy"               // too many requests at the same time
	Stopping         = "stopping"           // the daemon stops
	Unavailable      = "unavailable"        // the disk, the vault or a server does not let the daemon work
	Internal         = "internal"           // the daemon failed
)

const problemURN = "urn:facteur:problem:"

// Kind returns the kind of the problem, "" for one that is not of a daemon of ours.
func (p *Problem) Kind() string {
	kind, ours := strings.CutPrefix(p.Type, problemURN)
	if !ours {
		return ""
	}
	return kind
}

// Error says what is wrong in one line; Hint is not in it.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = fmt.Sprintf("the daemon answered %d %s", p.Status, http.StatusText(p.Status))
	}
	if len(p.Errors) == 0 {
		return text
	}
	parts := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		parts[i] = e.Error()
	}
	return text + ": " + strings.Join(parts, "; ")
}

// Error says what is wrong, and where.
func (e FieldError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// titleOf returns the status and the title of a kind.
func titleOf(kind string) (status int, title string) {
	for _, k := range [...]struct {
		kind   string
		status int
		title  string
	}{
		{BadRequest, http.StatusBadRequest, "the request cannot be read"},
		{Invalid, http.StatusUnprocessableEntity, "the request is invalid"},
		{Unauthorized, http.StatusUnauthorized, "an API key is required"},
		{Forbidden, http.StatusForbidden, "this is not allowed"},
		{NotFound, http.StatusNotFound, "not found"},
		{MethodNotAllowed, http.StatusMethodNotAllowed, "the path does not support this method"},
		{TooSlow, http.StatusRequestTimeout, "the request arrived too slowly"},
		{Conflict, http.StatusConflict, "the run's status does not allow this"},
		{Rejected, http.StatusConflict, "the flow's concurrency refused the run"},
		{KeyReused, http.StatusUnprocessableEntity, "the idempotency key was used before"},
		{TooLarge, http.StatusRequestEntityTooLarge, "the request is too large"},
		{NotJSON, http.StatusUnsupportedMediaType, "the request is not JSON"},
		{InvalidFlows, http.StatusUnprocessableEntity, "the flows have mistakes"},
		{Busy, http.StatusServiceUnavailable, "the daemon is busy"},
		{Stopping, http.StatusServiceUnavailable, "the daemon is stopping"},
		{Unavailable, http.StatusServiceUnavailable, "the daemon cannot work at the moment"},
	} {
		if k.kind == kind {
			return k.status, k.title
		}
	}
	return http.StatusInternalServerError, "the daemon failed"
}

// problem makes a problem of a kind.
func problem(kind, hint, format string, args ...any) *Problem {
	status, title := titleOf(kind)
	return &Problem{Type: problemURN + kind, Title: title, Status: status, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// invalidRequest tells of fields that break rules.
func invalidRequest(detail string, fields ...FieldError) *Problem {
	p := problem(Invalid, "", "%s", detail)
	p.Errors = fields
	return p
}

// invalidValue tells what is wrong in a value that stands at a path; nil: nothing.
func invalidValue(at, detail string, found schema.Violations) *Problem {
	if found.Err() == nil {
		return nil
	}
	p := invalidRequest(detail)
	for _, v := range found {
		if v.Warning {
			continue
		}
		path := v.Path
		if at != "" {
			path = append(schema.Path{at}, path...)
		}
		p.Errors = append(p.Errors, FieldError{path.String(), v.Rule, v.Message, v.Hint})
	}
	return p
}
