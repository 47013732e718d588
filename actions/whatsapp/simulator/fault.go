package simulator

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Fault makes matching requests go wrong. Of several that match, the first that is due counts.
// Fields that are left out match everything.
type Fault struct {
	Endpoint  string  `json:"endpoint,omitempty"`  // messages, read, media, templates, numbers, number, account, apps, token; "": messages
	Number    string  `json:"number,omitempty"`    // phone number ID
	Recipient string  `json:"recipient,omitempty"` // a phone number, or a user ID
	Key       string  `json:"key,omitempty"`       // how the callback data begin
	Nth       int     `json:"nth,omitempty"`       // only the n-th request that matches, from 1
	Times     int     `json:"times,omitempty"`     // at most so many times; 0: always
	Odds      float64 `json:"odds,omitempty"`      // with this probability, 0 to 1; 0: always

	Do       Do       `json:"do"`
	Delay    Duration `json:"delay,omitempty"`    // of delay, late: how long; with others: before it
	Status   int      `json:"status,omitempty"`   // of status: 502 unless it says
	Body     string   `json:"body,omitempty"`     // of status: an HTML page unless it says
	Code     int64    `json:"code,omitempty"`     // of error, fail
	Subcode  int64    `json:"subcode,omitempty"`  // of error
	Accepted bool     `json:"accepted,omitempty"` // of reset, status: the message is accepted all the same

	seen, hit int
}

// Do is what a fault does.
type Do string

// What faults do to the answer, and to what comes after it.
const (
	Drop     Do = "drop"     // accept the message, then close the connection without an answer
	Hang     Do = "hang"     // accept the message, and never answer
	Reset    Do = "reset"    // reset the connection, without accepting the message unless Accepted
	Delay    Do = "delay"    // answer later
	Status   Do = "status"   // answer with a status and HTML, as a gateway does
	Error    Do = "error"    // answer with an error code of the API's
	Truncate Do = "truncate" // accept the message, and break off in the middle of the answer

	Fail      Do = "fail"      // accept the message; it fails later, with Code
	Silent    Do = "silent"    // accept the message, and never tell what became of it
	Duplicate Do = "duplicate" // tell each status twice
	Reorder   Do = "reorder"   // tell that it was delivered before that it was sent
	Late      Do = "late"      // tell the statuses later, by Delay
)

var allDo = [...]Do{Drop, Hang, Reset, Delay, Status, Error, Truncate, Fail, Silent, Duplicate, Reorder, Late}

var endpoints = [...]string{"messages", "read", "media", "templates", "numbers", "number", "account", "apps", "token"}

func (f *Fault) check() error {
	switch {
	case !slices.Contains(allDo[:], f.Do):
		return fmt.Errorf("do: there is no fault %q; use one of %v", f.Do, allDo)
	case f.Endpoint != "" && !slices.Contains(endpoints[:], f.Endpoint):
		return fmt.Errorf("endpoint: there is no endpoint %q; use one of %v", f.Endpoint, endpoints)
	case f.Odds < 0 || f.Odds > 1:
		return fmt.Errorf("odds: %v is not between 0 and 1", f.Odds)
	case (f.Do == Error || f.Do == Fail) && f.Code == 0:
		return fmt.Errorf("code: %s needs an error code", f.Do)
	case (f.Do == Delay || f.Do == Late) && f.Delay <= 0:
		return fmt.Errorf("delay: %s needs a delay", f.Do)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status: %d is not between 200 and 599", f.Status)
	case f.Nth < 0 || f.Times < 0:
		return fmt.Errorf("nth and times must not be negative")
	}
	return nil
}

// accepts reports whether the message of a faulty request is accepted nevertheless.
func (f *Fault) accepts() bool {
	switch f.Do {
	case Reset, Status:
		return f.Accepted
	case Error:
		return false
	}
	return true
}

// A target is what faults match.
type target struct {
	endpoint, number, person, key string
}

func (f *Fault) matches(t target) bool {
	return cmp.Or(f.Endpoint, "messages") == t.endpoint &&
		(f.Number == "" || f.Number == t.number) &&
		(f.Recipient == "" || f.Recipient == t.person || digits(f.Recipient) != "" && digits(f.Recipient) == t.person) &&
		strings.HasPrefix(t.key, f.Key)
}

// pick returns the fault for a request, nil for none, and counts it.
func pick(faults []*Fault, t target, random *rand.Rand) *Fault {
	var found *Fault
	for _, f := range faults {
		if !f.matches(t) {
			continue
		}
		f.seen++
		if found != nil || f.Nth > 0 && f.seen != f.Nth || f.Times > 0 && f.hit >= f.Times || f.Odds > 0 && random.Float64() >= f.Odds {
			continue
		}
		f.hit++
		found = f
	}
	return found
}

// AddFault adds a fault after the others.
func (s *Simulator) AddFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
	return nil
}

// Faults returns the faults, in their order.
func (s *Simulator) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		out = append(out, *f)
	}
	return out
}

// ClearFaults removes all faults, those of the scene too.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// wait lets time pass, that of the simulator; ok is false when the request ended first.
func (s *Simulator) wait(ctx context.Context, d time.Duration) (ok bool) {
	if s.options.Pause != nil {
		return s.options.Pause(ctx, d) == nil
	}
	passed := make(chan struct{})
	s.mu.Lock()
	scene := s.scene
	s.mu.Unlock()
	if d < hangTime {
		s.scheduler.schedule(s.Now().Add(d), func(time.Time) { close(passed) })
	}
	select {
	case <-passed:
		return true
	case <-ctx.Done():
	case <-scene:
	case <-s.closed:
	}
	return false
}

// apiError is what a fault answers that does not accept; nil where it answers nothing.
func (f *Fault) apiError() *apiError {
	if f.Do != Error {
		return &apiError{}
	}
	r := newAPIError(f.Code, "")
	if f.Subcode != 0 {
		r.subcode = f.Subcode
	}
	return r
}

// hangTime is how long a request hangs unless the client or Close ends it.
const hangTime = 365 * 24 * time.Hour

// applyFault answers as a fault wants it. answer is nil where the message was not accepted.
func (s *Simulator) applyFault(g *graphCall, f *Fault, answer []byte) *apiError {
	if d, ok := f.Delay.or(0); ok && d > 0 && f.Do != Late && !s.wait(g.r.Context(), d) {
		panic(http.ErrAbortHandler)
	}
	switch f.Do {
	case Error:
		return f.apiError()
	case Drop:
		panic(http.ErrAbortHandler)
	case Hang:
		s.wait(g.r.Context(), hangTime)
		panic(http.ErrAbortHandler)
	case Reset:
		reset(g.w)
	case Status:
		g.gatewayError(f)
	case Truncate:
		h := g.header()
		h.Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = g.w.Write(answer[:len(answer)/2])
		_ = http.NewResponseController(g.w).Flush()
		panic(http.ErrAbortHandler)
	default:
		return s.answerText(g, answer)
	}
	return nil
}

// reset breaks the connection so that the other side sees a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// gatewayError answers as what stands before the API does when it fails.
func (g *graphCall) gatewayError(f *Fault) {
	status := cmp.Or(f.Status, http.StatusBadGateway)
	body := cmp.Or(f.Body, fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%[1]d %[2]s</title></head><body><h1>%[1]d %[2]s</h1></body></html>\n", status, http.StatusText(status)))
	h := g.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	g.w.WriteHeader(status)
	_, _ = g.w.Write([]byte(body))
}

// failRequest lets the fault of a request that sends nothing happen, if there is one; done says that
// the request has been answered.
func (s *Simulator) failRequest(g *graphCall, endpoint, number string) (done bool, err *apiError) {
	s.mu.Lock()
	f := pick(s.faults, target{endpoint, number, "", ""}, s.random)
	s.mu.Unlock()
	if f == nil {
		return false, nil
	}
	switch f.Do {
	case Error, Drop, Hang, Reset, Status:
		return true, s.applyFault(g, f, nil)
	case Truncate:
		return true, s.applyFault(g, &Fault{Do: Drop}, nil)
	case Delay:
		if d, _ := f.Delay.or(0); !s.wait(g.r.Context(), d) {
			panic(http.ErrAbortHandler)
		}
	}
	return false, nil
}
