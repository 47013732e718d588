package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"facteur/flow/call"
	"facteur/flow/record"
)

// A dryRun collects the requests of a dry run instead of sending them. What it answers
// is made up. They are shown at the end, when it is known what is sensitive in them.
type dryRun struct {
	token    string // of all connections: looked for, and hidden, in what is shown
	step     string // that makes the call now; there is one at a time
	requests []dryRequest
}

// A dryRequest request is one that would have been sent, as --json prints it.
type dryRequest struct {
	Step    string            `json:"step"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body,omitempty"` // a text where it is not JSON
}

func newDryRun() *dryRun { return &dryRun{token: rand.Text()} }

// wrap makes calls whose requests the dry run collects.
func (r *dryRun) wrap(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		r.step = c.Step
		return do(ctx, c)
	}
}

// RoundTrip implements http.RoundTripper.
func (r *dryRun) RoundTrip(req *http.Request) (*http.Response, error) {
	one := dryRequest{Step: r.step, Method: req.Method, Headers: map[string]string{}}
	scrubber := record.NewScrubber(r.token)
	scrub := func(text string) string { return string(scrubber.Scrub([]byte(text))) }
	one.URL = scrub(req.URL.Redacted())
	for name, values := range req.Header {
		one.Headers[name] = scrub(strings.Join(values, ", "))
		if name == "Authorization" || name == "Cookie" {
			one.Headers[name] = record.Hidden
		}
	}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		body = scrubber.Scrub(body)
		if json.Valid(body) {
			one.Body = json.RawMessage(body)
		} else if len(body) > 0 {
			one.Body = string(body)
		}
	}
	r.requests = append(r.requests, one)
	answer := "{}"
	if strings.HasSuffix(req.URL.Path, "/messages") {
		answer = fmt.Sprintf(`{"messaging_product":"whatsapp","success":true,"messages":[{"id":"wamid.dry-run-%d"}]}`, len(r.requests))
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

// masked gives the requests without sensitive values.
func (r *dryRun) masked(m *record.Mask) []dryRequest {
	out := make([]dryRequest, len(r.requests))
	for i, one := range r.requests {
		one.URL = m.Text(one.URL)
		headers := map[string]string{}
		for name, value := range one.Headers {
			headers[name] = m.Text(value)
		}
		one.Headers = headers
		switch body := one.Body.(type) {
		case json.RawMessage:
			one.Body = json.RawMessage(m.JSON(body))
		case string:
			one.Body = m.Text(body)
		}
		out[i] = one
	}
	return out
}

// print shows the requests to people.
func (r *dryRun) print(out io.Writer, m *record.Mask) {
	for _, one := range r.masked(m) {
		fmt.Fprintf(out, "# step %s\n%s %s\n", one.Step, one.Method, one.URL)
		for _, name := range sortedNames(one.Headers) {
			fmt.Fprintf(out, "%s: %s\n", name, one.Headers[name])
		}
		switch body := one.Body.(type) {
		case json.RawMessage:
			var pretty bytes.Buffer
			_ = json.Indent(&pretty, body, "", "  ") // it is valid
			fmt.Fprintf(out, "\n%s\n", &pretty)
		case string:
			fmt.Fprintf(out, "\n%s\n", body)
		}
		fmt.Fprintln(out)
	}
}
