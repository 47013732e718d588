package whatsapp

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"facteur/actions"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
)

// failure classifies an answer that is no success. hasLink tells whether the message names
// its file by a link.
func (r *response) failure(c call.Call, hasLink bool) *actions.Failure {
	if r.err != nil && (r.Status/100 == 4 && r.Status != http.StatusRequestTimeout || r.isFromMeta()) {
		return r.refusal(c, hasLink)
	}
	f := &actions.Failure{Status: call.Failed, Err: &call.Error{Code: fmt.Sprintf("http_%d", r.Status), StatusCode: int64(r.Status)}}
	report := func(class, format string, args ...any) *actions.Failure {
		f.Err.Class, f.Err.Message = class, fmt.Sprintf(format, args...)
		return f
	}
	switch s := r.Status; {
	case s < 300, s >= 500, s == http.StatusRequestTimeout, s == http.StatusSeeOther, s == http.StatusNotModified:
		f.Status = call.Unknown
		if s < 400 {
			f.Err.Code = "bad_answer"
		}
		return report("answer", "the answer (status %d) is not from the WhatsApp API, so it is not known whether the message was accepted", s)
	case s < 400:
		return report(string(graph.Permanent), "the API's address redirects (status %d): check the connection's base_url", s)
	case s == http.StatusUnauthorized:
		f.Auth = true
		return report(string(graph.Auth), "the token was refused (status %d)", s)
	case s == http.StatusTooManyRequests:
		f.Retryable, f.After, f.Throttled = true, graph.RetryAfter(r.Header), throttled(graph.ThrottleApp, c.Connection, c.Input)
		return report(string(graph.ThrottleApp), "too many requests (status %d)", s)
	}
	return report(string(graph.Permanent), "something other than the WhatsApp API refused the request with status %d: check the connection's base_url, and any proxy", r.Status)
}

// isFromMeta tells whether the error comes from the API itself, rather than from a gateway
// whose errors happen to have the same form.
func (r *response) isFromMeta() bool {
	return r.err.FBTraceID != "" || strings.HasSuffix(r.err.Type, "Exception") || r.Header.Get("X-Fb-Trace-Id") != ""
}

// refusal classifies an answer that holds an error of the API.
func (r *response) refusal(c call.Call, hasLink bool) *actions.Failure {
	v := graph.Classify(*r.err)
	r.err.FBTraceID = cmp.Or(r.err.FBTraceID, r.Header.Get("X-Fb-Trace-Id"), r.Header.Get("X-Fb-Request-Id"))
	switch v.Class {
	case graph.TransientMaybe:
		v.Retryable = r.err.Transient || c.Attempt <= 2
	case graph.PermanentMedia:
		v.Retryable = hasLink && c.Attempt == 1 // Meta often just failed to fetch it
	}
	f := &actions.Failure{
		Status:    call.Failed,
		Err:       r.err.CallError(v),
		Retryable: v.Retryable,
		Backoff:   v.Backoff,
		Throttled: throttled(v.Class, c.Connection, c.Input),
		Auth:      v.Class == graph.Auth,
	}
	if v.Retryable {
		f.After = max(v.After, graph.RetryAfter(r.Header))
	}
	if !v.Known && !r.err.Transient && r.Status >= 500 {
		// It is not known whether Meta failed before or after it accepted the message.
		f.Status, f.Retryable = call.Unknown, false
		f.Err.Message = fmt.Sprintf("Meta answered with an undocumented error (%d), so it is not known whether the message was accepted", r.err.Code)
	}
	if full := graph.UsedUp(r.Header); full != "" {
		f.Err.Details["usage"] = full
	}
	return f
}
