package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"facteur/flow/schema"
)

// PlayerOptions configure a Player.
type PlayerOptions struct {
	// Sleep waits for d by a virtual clock, or returns the error of ctx if that ends first.
	// nil: d takes no time, but a deadline of ctx before its end is exceeded.
	Sleep func(ctx context.Context, d time.Duration) error
}

// A Player is an http.RoundTripper that answers from recorded exchanges and never accesses the
// network. It is safe for concurrent use.
//
// Each exchange is used once, or as many times as it says. Those of a step are used in order,
// except by a step inside a foreach, where each iteration uses the first that matches; those
// without a step match requests of any. A request without a matching exchange gets a
// *MismatchError: nothing was sent, and the run should end there and show it.
type Player struct {
	options PlayerOptions
	entries []entry

	mu         sync.Mutex
	last       map[string]int // by step: the index of the entry that it used last
	mismatches []Mismatch
}

// An entry is an exchange with the state of its use.
type entry struct {
	*Exchange
	index     int
	versioned bool // the path has a version
	payload   *payload
	uses      int
	usedBy    string // the step that used it last
}

// usedUp reports whether the exchange answers no more requests.
func (e *entry) usedUp() bool { return e.uses >= max(1, e.Times) }

// NewPlayer returns a player of the exchanges, which must not change afterwards.
func NewPlayer(exchanges []*Exchange, options PlayerOptions) *Player {
	if options.Sleep == nil {
		options.Sleep = withoutDelay
	}
	p := &Player{options: options, last: map[string]int{}, entries: make([]entry, len(exchanges))}
	for i, x := range exchanges {
		_, versioned := cutVersion(x.Request.Path)
		p.entries[i] = entry{Exchange: x, index: i, versioned: versioned, payload: x.Response.encoded}
		if x.Response.encoded == nil {
			p.entries[i].payload = x.Response.encode()
		}
	}
	return p
}

// forever is longer than any client waits for an answer.
const forever = 365 * 24 * time.Hour

func withoutDelay(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// A payload is the encoded header and body of a response.
type payload struct {
	header http.Header
	body   []byte
}

func (r *Response) encode() *payload {
	header := make(http.Header, len(r.Headers)+1)
	var body []byte
	switch {
	case r.JSON != nil:
		if text, err := schema.AppendJSON(nil, r.JSON); err == nil {
			body = text
		}
		header.Set("Content-Type", typeJSON)
	case r.HTML != "":
		body = []byte(r.HTML)
		header.Set("Content-Type", typeHTML)
	case r.Text != "":
		body = []byte(r.Text)
		header.Set("Content-Type", typeText)
	}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	return &payload{header, body}
}

// The default content types of bodies.
const (
	typeJSON = "application/json"
	typeHTML = "text/html; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
)

// RoundTrip answers req from the recording. A response recorded as lost gives a net.Error with
// Timeout, or an error that is syscall.ECONNRESET.
func (p *Player) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := readRequest(req)
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e, err := p.match(&sent)
	if err != nil {
		return nil, err
	}
	if e.Response.Delay > 0 {
		if err := p.options.Sleep(ctx, e.Response.Delay); err != nil {
			return nil, err
		}
	}
	switch e.Response.Lost {
	case LostTimeout:
		// The client's time-out ends the wait first.
		_ = p.options.Sleep(ctx, forever)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: lostError{}}
	case LostReset:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: fmt.Errorf("the recorded answer is lost: %w", syscall.ECONNRESET)}
	}
	return e.answer(req), nil
}

type lostError struct{}

func (lostError) Error() string   { return "the recorded answer is lost: timeout" }
func (lostError) Timeout() bool   { return true }
func (lostError) Temporary() bool { return true }

func (e *entry) answer(req *http.Request) *http.Response {
	status := e.Response.Status
	resp := &http.Response{
		Status:     strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode: status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        e.payload.header.Clone(),
		ContentLength: int64(len(e.payload.body)),
		Request:       req,
	}
	var body io.Reader = bytes.NewReader(e.payload.body)
	if e.Response.Truncated {
		body = io.MultiReader(bytes.NewReader(e.payload.body[:len(e.payload.body)/2]), errReader{io.ErrUnexpectedEOF})
	}
	resp.Body = io.NopCloser(body)
	return resp
}

// match returns the exchange for a request and marks it as used.
func (p *Player) match(s *request) (*entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := differ{names: s.info.Volatile, stopFirst: true, path: make([]step, 0, 16)}
	blocked := false // an exchange of this step did not match, so later ones are out of order
	for i := range p.entries {
		e := &p.entries[i]
		ownStep := s.info.matches(e.Step)
		if e.usedUp() || e.Step != "" && !ownStep || p.outOfOrder(e, s) {
			continue
		}
		if ownStep && e.Step != "" && blocked {
			continue
		}
		d.count = 0
		if e.compare(&d, s); d.count == 0 {
			e.uses, e.usedBy = e.uses+1, s.info.Step
			p.last[s.info.Step] = e.index
			return e, nil
		}
		blocked = blocked || ownStep && e.Step != "" && s.info.Iteration == ""
	}
	m := p.explain(s)
	p.mismatches = append(p.mismatches, m)
	return nil, &MismatchError{m}
}

// outOfOrder reports whether the step has already used an exchange after e. Requests without a
// step have no order.
func (p *Player) outOfOrder(e *entry, s *request) bool {
	last, used := p.last[s.info.Step]
	return used && e.index < last && s.info.Step != "" && s.info.Iteration == ""
}

// compare adds to d how the request differs from the exchange.
func (e *entry) compare(d *differ, s *request) {
	r := &e.Request
	if r.Method != s.method {
		d.differentAt("method", &literal{r.Method}, s.method)
	}
	if r.Host != "" && r.Host != s.host {
		d.differentAt("url", &literal{r.Host + r.Path}, s.host+s.path)
	} else if path := s.comparablePath(e); r.Path != path {
		d.differentAt("path", &literal{r.Path}, s.path)
	}
	if d.done() {
		return
	}
	if r.Query != nil {
		d.compareAt("query", r.Query, s.query())
	}
	if r.Headers != nil && !d.done() {
		d.compareAt("headers", r.Headers, s.headers())
	}
	if !d.done() {
		e.compareBody(d, s)
	}
}

func (e *entry) compareBody(d *differ, s *request) {
	kind, m := "", Matcher(nil)
	switch r := &e.Request; {
	case r.JSON != nil:
		kind, m = "json", r.JSON
	case r.Form != nil:
		kind, m = "form", r.Form
	case r.Text != nil:
		kind, m = "text", r.Text
	}
	sent := s.kind
	if kind == "text" && sent != "" {
		sent = "text" // any body can be compared as text
	}
	switch {
	case kind == "" && sent == "":
	case kind == "":
		d.enter(sent)
		d.unexpected(s.value(sent))
		d.leave()
	case sent == "":
		d.enter(kind)
		d.missing(m)
		d.leave()
	case kind != sent:
		d.enter("body")
		d.add(Difference{Recorded: kind + " " + m.String(), Sent: sent + " " + formatJSON(s.value(sent))}, countScalars(m))
		d.leave()
	default:
		d.compareAt(kind, m, s.value(sent))
	}
}

func (d *differ) compareAt(name string, m Matcher, sent any) {
	d.enter(name)
	m.compare(d, sent)
	d.leave()
}

func (d *differ) differentAt(name string, m Matcher, sent any) {
	d.enter(name)
	d.different(m, sent)
	d.leave()
}

// An Unused exchange could have answered more requests than it did.
type Unused struct {
	*Exchange
	Uses int // how many it answered
}

// Unused returns the exchanges that are not used up, in order.
func (p *Player) Unused() []Unused {
	p.mu.Lock()
	defer p.mu.Unlock()
	var unused []Unused
	for i := range p.entries {
		if e := &p.entries[i]; !e.usedUp() {
			unused = append(unused, Unused{e.Exchange, e.uses})
		}
	}
	return unused
}

// Mismatches returns the requests without a matching exchange, in the order in which they
// came.
func (p *Player) Mismatches() []Mismatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.mismatches)
}

// Err returns the mismatches as errors, nil if there are none. Unused exchanges are not
// errors: see Unused.
func (p *Player) Err() error {
	var errs []error
	for _, m := range p.Mismatches() {
		errs = append(errs, &MismatchError{m})
	}
	return errors.Join(errs...)
}

var version = regexp.MustCompile(`^/v[0-9]+\.[0-9]+/`)

// cutVersion removes the leading version of the Graph API from a path: /v23.0/106 becomes
// /106.
func cutVersion(path string) (rest string, ok bool) {
	if v := version.FindString(path); v != "" {
		return path[len(v)-1:], true
	}
	return path, false
}
