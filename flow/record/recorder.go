package record

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"facteur/flow/schema"

	"gopkg.in/yaml.v3"
)

// A Recorder is an http.RoundTripper that forwards requests and records the exchanges, in the
// order of their requests. It is safe for concurrent use.
//
// Secrets are removed when an exchange is captured: those known to the given function, and
// those found in the requests, in authorization headers, cookies and parameters such as
// access_token. A value of a request that contained one is recorded as {$any: true}. Headers
// of requests are not recorded at all, and of responses only those that flows and actions
// read. Volatile fields are left out.
type Recorder struct {
	// Now is a virtual clock, by which delays of responses are recorded. nil: delays are not
	// recorded, because real ones vary.
	Now func() time.Time

	base       http.RoundTripper
	scrubKnown func([]byte) []byte
	learned    *Scrubber

	mu        sync.Mutex
	exchanges []*captured
	problem   error // why the recording cannot be written
}

type captured struct {
	step              string
	request, response *yaml.Node // nil: not recorded
}

// NewRecorder returns a recorder around base, http.DefaultTransport if it is nil. scrub
// removes the secrets known to the caller from a text, in any encoding, as Scrubber.Scrub
// does; nil: none are known.
func NewRecorder(base http.RoundTripper, scrub func([]byte) []byte) *Recorder {
	if base == nil {
		base = http.DefaultTransport
	}
	if scrub == nil {
		scrub = func(text []byte) []byte { return text }
	}
	return &Recorder{base: base, scrubKnown: scrub, learned: NewScrubber()}
}

// maxCaptured bounds the size of a recorded response body, in bytes.
const maxCaptured = 1 << 20

// RoundTrip forwards the request.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := readRequest(req)
	if err != nil {
		return nil, err
	}
	r.learn(req, &sent)
	c := &captured{step: sent.info.Step, request: r.request(req.URL, &sent)}
	r.mu.Lock()
	r.exchanges = append(r.exchanges, c)
	r.mu.Unlock()

	onward := req.WithContext(req.Context())
	if sent.body != nil {
		onward.Body = io.NopCloser(bytes.NewReader(sent.body))
	}
	began := r.clockNow()
	resp, err := r.base.RoundTrip(onward)
	took := r.clockNow().Sub(began)
	if err != nil {
		r.setResponse(c, lostResponse(err))
		return resp, err
	}
	for _, cookie := range resp.Cookies() {
		r.learnSecret(cookie.Value)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCaptured+1))
	if len(body) > maxCaptured {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		r.setProblem(&sent, "is over 1 MiB")
		return resp, nil
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errReader{err}))
		if isTimeout(err) {
			r.setResponse(c, lostResponse(err))
			return resp, nil
		}
	}
	if !utf8.Valid(body) {
		r.setProblem(&sent, "is not text")
		return resp, nil
	}
	n := r.response(resp, body, err != nil)
	if took > 0 {
		put(n, "delay", plainScalar(schema.FormatDuration(took)))
	}
	r.setResponse(c, n)
	return resp, nil
}

// clockNow is the time of the virtual clock, always zero without one.
func (r *Recorder) clockNow() time.Time {
	if r.Now == nil {
		return time.Time{}
	}
	return r.Now()
}

type errReader struct{ err error }

func (f errReader) Read([]byte) (int, error) { return 0, f.err }

func (r *Recorder) setResponse(c *captured, response *yaml.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.response = response
}

func (r *Recorder) setProblem(s *request, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == nil {
		r.problem = fmt.Errorf("the answer to %s %s %s, which a recording cannot hold", s.method, r.scrub(s.path), why)
	}
}

// lostResponse returns the response of a request that got none; nil if the request was never
// sent.
func lostResponse(err error) *yaml.Node {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return nil
	case isTimeout(err):
		return mapping("lost", plainScalar(LostTimeout))
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return mapping("lost", plainScalar(LostReset))
	}
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// learn collects the secrets in the headers, URL and parameters of a request.
func (r *Recorder) learn(req *http.Request, s *request) {
	for name, values := range req.Header {
		if !secretName(name) {
			continue
		}
		for _, value := range values {
			r.learnSecret(value)
			scheme, rest, _ := strings.Cut(value, " ")
			r.learnSecret(rest)
			if login, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "basic") {
				_, password, _ := strings.Cut(string(login), ":")
				r.learnSecret(string(login))
				r.learnSecret(password)
			}
		}
	}
	for _, cookie := range req.Cookies() {
		r.learnSecret(cookie.Value)
	}
	if req.URL.User != nil {
		password, _ := req.URL.User.Password()
		r.learnSecret(password)
	}
	r.learnParameters(s.query().(map[string]any))
	if s.kind == "form" {
		r.learnParameters(s.decoded.(map[string]any))
	}
}

func (r *Recorder) learnParameters(values map[string]any) {
	for name, v := range values {
		if text, ok := v.(string); ok && secretName(name) {
			r.learnSecret(text)
		}
	}
}

// learnSecret adds a secret unless it is so short that it could be a common word.
func (r *Recorder) learnSecret(secret string) {
	if len(secret) >= 2*minSecret {
		r.learned.Add(secret)
	}
}

func (r *Recorder) scrub(text string) string {
	return string(r.learned.Scrub(r.scrubKnown([]byte(text))))
}

func (r *Recorder) request(u *url.URL, s *request) *yaml.Node {
	n := mapping("method", text(s.method))
	if anyHost(u.Hostname()) {
		put(n, "path", text(r.scrub(s.path)))
	} else {
		put(n, "url", text(r.scrub(s.host+s.path)))
	}
	if s.rawQuery != "" {
		put(n, "query", r.scrubNode(parameters(s.query(), nil), true))
	}
	volatile := &differ{names: s.info.Volatile, path: []step{{"body", -1}}}
	switch s.kind {
	case "json":
		if !canHold(s.decoded, maxDepth) {
			put(n, "json", anyNode())
			break
		}
		put(n, "json", r.scrubNode(jsonNode(s.body, volatile, true), true))
	case "form":
		put(n, "form", r.scrubNode(parameters(s.decoded, volatile), true))
	case "text":
		put(n, "text", r.scrubNode(text(string(s.body)), true))
	}
	return n
}

// anyHost reports whether the host is recorded as any: the Cloud API and its simulators.
func anyHost(host string) bool {
	return host == "graph.facebook.com" || host == "localhost" || net.ParseIP(host) != nil
}

func (r *Recorder) response(resp *http.Response, body []byte, truncated bool) *yaml.Node {
	n := mapping("status", plainScalar(fmt.Sprint(resp.StatusCode)))
	media := resp.Header.Get("Content-Type")
	kind, usual := "text", typeText
	if strings.HasPrefix(media, "text/html") {
		kind, usual = "html", typeHTML
	} else if v, err := decode(body); err == nil && v != nil && canHold(v, maxDepth) {
		kind, usual = "json", typeJSON
	}
	headers := &yaml.Node{Kind: yaml.MappingNode}
	if media != "" && !sameType(media, usual) {
		put(headers, "Content-Type", text(media))
	}
	for _, name := range []string{"Retry-After", "Location", "X-App-Usage", "X-Business-Use-Case-Usage"} {
		if value := resp.Header.Get(name); value != "" {
			put(headers, name, text(value))
		}
	}
	if len(headers.Content) > 0 {
		put(n, "headers", r.scrubNode(headers, false))
	}
	switch {
	case kind == "json":
		put(n, "json", r.scrubNode(jsonNode(body, nil, false), false))
	case len(body) > 0:
		put(n, kind, r.scrubNode(text(string(body)), false))
	}
	if truncated {
		put(n, "truncated", plainScalar("true"))
	}
	return n
}

// sameType compares content types without their parameters.
func sameType(a, b string) bool {
	a, _, _ = strings.Cut(a, ";")
	b, _, _ = strings.Cut(b, ";")
	return strings.EqualFold(strings.TrimSpace(a), b)
}
