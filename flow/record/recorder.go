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

// A Recorder is an http.RoundTripper that passes requests on and writes down what
// was sent and what came back. It may be used concurrently; exchanges stand in the
// order in which their requests were made.
//
// Secrets are taken out when an exchange is captured: those that the given function
// knows, and those that the requests themselves show, in authorization headers,
// cookies and parameters such as access_token. A value of a request that held one is
// recorded as {$any: true}. Headers of requests are not recorded at all, and of
// answers only those that flows and actions read. Volatile fields are left out.
type Recorder struct {
	// Now is a virtual clock: how long answers took by it is recorded. nil: that is left
	// out, because by a real one it is different each time.
	Now func() time.Time

	base    http.RoundTripper
	known   func([]byte) []byte
	learned *Scrubber

	mu        sync.Mutex
	exchanges []*captured
	problem   error // what keeps the recording from being written
}

type captured struct {
	step              string
	request, response *yaml.Node // nil response: nothing came of it
}

// NewRecorder returns a recorder around base, http.DefaultTransport when it is nil.
// Scrub returns a text without the secrets that its caller knows, in any encoding, as
// Scrubber.Scrub does; nil: it knows none.
func NewRecorder(base http.RoundTripper, scrub func([]byte) []byte) *Recorder {
	if base == nil {
		base = http.DefaultTransport
	}
	if scrub == nil {
		scrub = func(text []byte) []byte { return text }
	}
	return &Recorder{base: base, known: scrub, learned: NewScrubber()}
}

// maxCaptured is the size of an answer, in bytes, that no recording can hold.
const maxCaptured = 1 << 20

// RoundTrip passes the request on.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := read(req)
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
	began := r.now()
	resp, err := r.base.RoundTrip(onward)
	took := r.now().Sub(began)
	if err != nil {
		r.keep(c, lost(err))
		return resp, err
	}
	for _, cookie := range resp.Cookies() {
		r.learnLong(cookie.Value)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCaptured+1))
	if len(body) > maxCaptured {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		r.refuse(&sent, "is over 1 MiB")
		return resp, nil
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
		if isTimeout(err) {
			r.keep(c, lost(err))
			return resp, nil
		}
	}
	if !utf8.Valid(body) {
		r.refuse(&sent, "is not text")
		return resp, nil
	}
	n := r.response(resp, body, err != nil)
	if took > 0 {
		put(n, "delay", bare(schema.FormatDuration(took)))
	}
	r.keep(c, n)
	return resp, nil
}

// now is the time by the virtual clock, or always the same.
func (r *Recorder) now() time.Time {
	if r.Now == nil {
		return time.Time{}
	}
	return r.Now()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (r *Recorder) keep(c *captured, response *yaml.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.response = response
}

func (r *Recorder) refuse(s *request, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == nil {
		r.problem = fmt.Errorf("the answer to %s %s %s, which a recording cannot hold", s.method, r.scrub(s.path), why)
	}
}

// lost gives the answer of a request that got none; nil when the request was never
// sent.
func lost(err error) *yaml.Node {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return nil
	case isTimeout(err):
		return mapping("lost", bare(LostTimeout))
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return mapping("lost", bare(LostReset))
	}
	return nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// learn looks for secrets in the places of a request that are made for them.
func (r *Recorder) learn(req *http.Request, s *request) {
	for name, values := range req.Header {
		if !secretName(name) {
			continue
		}
		for _, value := range values {
			r.learnLong(value)
			scheme, rest, _ := strings.Cut(value, " ")
			r.learnLong(rest)
			if login, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "basic") {
				_, password, _ := strings.Cut(string(login), ":")
				r.learnLong(string(login))
				r.learnLong(password)
			}
		}
	}
	for _, cookie := range req.Cookies() {
		r.learnLong(cookie.Value)
	}
	if req.URL.User != nil {
		password, _ := req.URL.User.Password()
		r.learnLong(password)
	}
	r.learnParameters(s.query().(map[string]any))
	if s.kind == "form" {
		r.learnParameters(s.decoded.(map[string]any))
	}
}

func (r *Recorder) learnParameters(values map[string]any) {
	for name, v := range values {
		if text, ok := v.(string); ok && secretName(name) {
			r.learnLong(text)
		}
	}
}

// learnLong takes a value for a secret if it is too long to be a common word.
func (r *Recorder) learnLong(secret string) {
	if len(secret) >= 2*minSecret {
		r.learned.Add(secret)
	}
}

func (r *Recorder) scrub(text string) string {
	return string(r.learned.Scrub(r.known([]byte(text))))
}

func (r *Recorder) request(u *url.URL, s *request) *yaml.Node {
	n := mapping("method", text(s.method))
	if anyHost(u.Hostname()) {
		put(n, "path", text(r.scrub(s.path)))
	} else {
		put(n, "url", text(r.scrub(s.host+s.path)))
	}
	if s.rawQ != "" {
		put(n, "query", r.clean(parameters(s.query(), nil), true))
	}
	volatile := &differ{names: s.info.Volatile, path: []step{{"body", -1}}}
	switch s.kind {
	case "json":
		if !holds(s.decoded, maxDepth) {
			put(n, "json", anyNode())
			break
		}
		put(n, "json", r.clean(jsonNode(s.body, volatile, true), true))
	case "form":
		put(n, "form", r.clean(parameters(s.decoded, volatile), true))
	case "text":
		put(n, "text", r.clean(text(string(s.body)), true))
	}
	return n
}

// anyHost tells whether the host is one that a recording should not insist on: the
// Cloud API and its stand-ins.
func anyHost(host string) bool {
	return host == "graph.facebook.com" || host == "localhost" || net.ParseIP(host) != nil
}

func (r *Recorder) response(resp *http.Response, body []byte, truncated bool) *yaml.Node {
	n := mapping("status", bare(fmt.Sprint(resp.StatusCode)))
	media := resp.Header.Get("Content-Type")
	kind, usual := "text", typeText
	if strings.HasPrefix(media, "text/html") {
		kind, usual = "html", typeHTML
	} else if v, err := decode(body); err == nil && v != nil && holds(v, maxDepth) {
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
		put(n, "headers", r.clean(headers, false))
	}
	switch {
	case kind == "json":
		put(n, "json", r.clean(jsonNode(body, nil, false), false))
	case len(body) > 0:
		put(n, kind, r.clean(text(string(body)), false))
	}
	if truncated {
		put(n, "truncated", bare("true"))
	}
	return n
}

// sameType compares types of content, whatever they say of the character set.
func sameType(a, b string) bool {
	a, _, _ = strings.Cut(a, ";")
	b, _, _ = strings.Cut(b, ";")
	return strings.EqualFold(strings.TrimSpace(a), b)
}
