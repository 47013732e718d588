// Package httpcall is the action http.request: one HTTP request to a server that the
// project allows, with the credentials of a connection if it needs some.
//
// A Policy says which servers may be called. It is enforced when a connection is dialled, so that
// neither a redirect nor a name that changes its address (DNS rebinding) gets around it.
package httpcall

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"facteur/actions"
	"facteur/flow/call"
	"facteur/flow/schema"
	"facteur/vault"
)

// An Input is the input of http.request.
type Input struct {
	Method          string            `json:"method" schema:"foldcase,enum=GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS,default=GET" doc:"the method; GET by default"`
	URL             string            `json:"url" schema:"required,minLength=1,maxLength=8192" doc:"the address, http or https; a path is relative to the connection's base_url"`
	Query           map[string]any    `json:"query,omitempty" doc:"added to the address: strings, numbers, booleans, or lists of them"`
	Headers         map[string]string `json:"headers,omitempty" doc:"additional headers; credentials belong in a connection"`
	JSON            any               `json:"json,omitempty" doc:"the body, sent as JSON; one of json, form and text"`
	Form            map[string]any    `json:"form,omitempty" doc:"the body, sent as a form"`
	Text            *string           `json:"text,omitempty" doc:"the body, sent unchanged"`
	ExpectStatus    any               `json:"expect_status,omitempty" doc:"the status, or a list of statuses, that means success; by default every status below 400"`
	FollowRedirects bool              `json:"follow_redirects,omitempty" doc:"follow up to 5 redirects; otherwise a redirect is an answer like any other"`
}

// SchemaType is the fields' schema, with hints for the names that other tools use for the body.
func (Input) SchemaType() *schema.Type { return inputSchema() }

var inputSchema = sync.OnceValue(func() *schema.Type {
	type fields Input
	t := schema.Of[fields]()
	t.DetectMistake = func(v any) (found schema.Violations) {
		object, _ := v.(map[string]any)
		for _, name := range [...]string{"body", "data", "payload"} {
			if _, ok := object[name]; ok {
				found = append(found, schema.Violation{Path: schema.Path{name}, Rule: "unknown-field", OnKey: true, Message: fmt.Sprintf("no field %q", name),
					Hint: "put the body into json, form or text"})
			}
		}
		return found
	}
	return t
})

// An Output is the output of http.request, also when it fails.
type Output struct {
	StatusCode int64             `json:"status_code" schema:"required,always" doc:"HTTP status; 0: no answer"`
	Headers    map[string]string `json:"headers" schema:"required,always" doc:"the headers of the answer, with names in lower case"`
	JSON       any               `json:"json" schema:"required,always,plain" doc:"the answer if it is JSON, otherwise null"`
	Text       string            `json:"text" schema:"required,always" doc:"the answer as text"`
}

// Request returns the action http.request. A nil transport is the policy's own; another one, such as
// a recording, is not bound by the policy's addresses.
func Request(policy Policy, transport http.RoundTripper) actions.Action {
	if transport == nil {
		transport = policy.Transport()
	}
	r := requester{policy, transport}
	return actions.Define(actions.Spec[*credentials]{
		Signature: call.Signature{
			Name:               "http.request",
			Doc:                "Makes one HTTP request. A status of 400 or above is a failure, unless expect_status says otherwise.",
			App:                string(vault.HTTP),
			ConnectionOptional: true,
			Idempotent:         idempotent,
			Check:              policy.check,
			LintNoConnection:   missingBase,
			Lint:               warnSecrets,
		},
		Connect: connect,
	}, r.do)
}

// idempotent tells whether the method may be repeated, by its definition.
func idempotent(in map[string]any) bool {
	method, _ := in["method"].(string)
	return method == "" || slices.Contains([]string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}, method)
}

type requester struct {
	policy    Policy
	transport http.RoundTripper
}

func (r requester) do(ctx context.Context, k *credentials, in Input) (Output, error) {
	out := Output{Headers: map[string]string{}}
	expected, err := statuses(in.ExpectStatus)
	if err != nil {
		return out, invalid("expect_status: %v", err)
	}
	req, err := r.build(ctx, k, in)
	if err != nil {
		return out, err
	}
	client := &http.Client{Transport: r.transport, CheckRedirect: r.redirect(k, in.FollowRedirects)}
	answer, err := actions.Exchange(ctx, client.Do, req, r.policy.maxBody())
	out.setAnswer(answer)
	if err != nil && answer.Status < 400 {
		return out, err
	}
	return out, checkStatus(ctx, answer, expected, k != nil, req.URL.Hostname())
}
