// Package webhook accepts webhooks for runs that wait for them and flows that they start. Use
// Handler for POST /hooks/{path...}: a request is verified with a connection of app WEBHOOK, and
// becomes an event of the kind of Event.
//
// Reader and LimitedLog are for other webhook handlers, too, such as package inbound's.
package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"facteur/vault"
)

// NoConnection is the connection of an event whose request was not verified, and did not have to be.
// It must not be empty: an event without a connection would match every wait, also one that requires
// a connection.
const NoConnection = "none"

// MaxBody is how many bytes a body has at most, unless Options says otherwise.
const MaxBody = 1 << 20

// Options are what a handler works with. Find, Resolve and Deliver are required.
type Options struct {
	// Find returns who may send to a path: the connections of its triggers and waits, and
	// whether anybody may. Neither: there is no such path.
	Find func(path string) (connections []string, open bool)
	// Paths returns the existing paths, for Explain and the log. nil: they are not shown.
	Paths func() []string
	// Resolve returns a connection, as a vault.Vault does.
	Resolve func(ctx context.Context, name string) (vault.Connection, error)
	// Deliver durably stores an event: the request is answered after that.
	Deliver func(ctx context.Context, d Delivery) error

	MaxBody     int64         // bytes of a body; 0: MaxBody
	BodyTimeout time.Duration // how long a body may take; 0: DefaultTimeout
	Now         func() time.Time
	Log         *slog.Logger // nil: nothing is logged
	// Explain tells senders why a request cannot be verified, which header is expected, and
	// which paths exist. It is for development: it reveals connections to anybody.
	Explain bool
	// Answered, if not nil, is called for each request, for metrics. It must be quick.
	Answered func(status int, took time.Duration)
}

// A Delivery is an accepted request.
type Delivery struct {
	// ID is the same for a request that its sender repeats and says so, with its own id of
	// the delivery in a header such as Idempotency-Key or Webhook-Id. Otherwise each
	// request is a new one, and the trigger's dedupe may tell that it is not.
	ID         string
	Path       string // in the form of Path
	Connection string // that proved who sent it; None
	At         time.Time
	Data       map[string]any // by the type of Event
}

type handler struct {
	Options
	notices LimitedLog
	bodies  Reader
}

// Handler answers POST /hooks/{path...}; it takes the path from the request's path value
// of that name. The answers:
//
//	202  the request is stored: its id is in the body
//	400  the body broke off, or is not the JSON that it says it is
//	401  it does not prove who sent it
//	404  there is no such path
//	405  it is no POST
//	408, 413, 415  the body came too slowly, is too long, is compressed or neither JSON nor text
//	503  it could not be checked or stored, or too many long bodies come: send it again
func Handler(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &handler{Options: o, notices: LimitedLog{Log: o.Log}, bodies: Reader{Most: cmp.Or(o.MaxBody, MaxBody), Timeout: o.BodyTimeout}}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	d, err := h.accept(w, r)
	status := http.StatusAccepted
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		status = refusal.Status
		h.logRefusal(refusal, d)
		refuse(w, refusal)
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"id": d.ID}) // whoever does not read it asks again
	}
	if h.Answered != nil {
		h.Answered(status, time.Since(began))
	}
}

// refuse answers with a problem of RFC 9457.
func refuse(w http.ResponseWriter, e *Refusal) {
	switch e.Status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(e.Status), "status": e.Status, "detail": e.Reason})
}

// logRefusal logs a refusal. Anybody can cause one, so it is limited to one line a minute.
func (h *handler) logRefusal(e *Refusal, d Delivery) {
	switch {
	case e.Status == http.StatusServiceUnavailable:
		h.notices.Print(slog.LevelError, "503 "+d.Path, "a webhook was not accepted; its sender has to send it again", "path", d.Path, "reason", e.Error())
	case e.Status == http.StatusNotFound && e.Err != nil:
		h.notices.Print(slog.LevelInfo, "404", "a webhook arrived at a path that no flow uses", "path", d.Path, "reason", e.Err.Error())
	case e.Status != http.StatusNotFound && e.Status != http.StatusMethodNotAllowed:
		h.notices.Print(slog.LevelWarn, http.StatusText(e.Status)+d.Path, "a webhook was refused", "path", d.Path, "status", e.Status, "reason", e.Error())
	}
}

// accept verifies a request, and delivers it. Its error is a *Refusal.
func (h *handler) accept(w http.ResponseWriter, r *http.Request) (d Delivery, err error) {
	if r.Method != http.MethodPost {
		return d, &Refusal{Status: http.StatusMethodNotAllowed, Reason: "a webhook must be a POST request"}
	}
	d.At = h.Now().UTC()
	path, err := Path(r.PathValue("path"))
	if err != nil {
		return d, errNoPath()
	}
	names, open := h.Find(path)
	if d.Path = path; len(names) == 0 && !open {
		return d, h.notFound()
	}
	senders := h.resolve(r.Context(), names)
	if !open && !senders.proofIn(r.Header) { // what nobody signed is not read
		_, err := senders.verify(r.Header, nil, false)
		return d, err
	}
	body, err := h.bodies.Read(w, r)
	if err != nil {
		return d, err
	}
	if d.Connection, err = senders.verify(r.Header, body, open); err != nil {
		return d, err
	}
	d.Data = map[string]any{"path": path, "headers": senders.headers(r.Header), "received_at": d.At}
	if d.Data["body"], err = parseBody(r.Header.Get("Content-Type"), body); err != nil {
		return d, err
	}
	d.ID = deliveryID(d, r.Header)
	if err := h.Deliver(r.Context(), d); err != nil {
		return d, &Refusal{Status: http.StatusServiceUnavailable, Reason: "it could not be stored; send it again", Err: err}
	}
	return d, nil
}

// notFound refuses a path that no flow has. Which ones have is not for strangers.
func (h *handler) notFound() error {
	if h.Paths == nil {
		return errNoPath()
	}
	there := "no flow accepts webhooks"
	if paths := h.Paths(); len(paths) > 0 {
		there = "flows accept webhooks at " + strings.Join(paths, ", ")
	}
	refusal := &Refusal{Status: http.StatusNotFound, Reason: "there is no webhook at this path", Err: errors.New(there)}
	if h.Explain {
		refusal.Reason = refusal.Error()
	}
	return refusal
}

func errNoPath() error {
	return &Refusal{Status: http.StatusNotFound, Reason: "there is no webhook at this path"}
}

// deliveryID returns the id of an event.
func deliveryID(d Delivery, header http.Header) string {
	for _, name := range []string{"Idempotency-Key", "Webhook-Id", "X-Webhook-Id", "X-Shopify-Webhook-Id", "X-Github-Delivery", "X-Gitlab-Event-Uuid"} {
		if value := header.Get(name); value != "" {
			return digest(d.Path, d.Connection, name, value)
		}
	}
	return "w." + rand.Text()
}

func digest(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		_, _ = io.WriteString(hash, part+"\x00") // never fails
	}
	return "w." + hex.EncodeToString(hash.Sum(nil)[:16])
}

// pathConnections are the connections of a path.
type pathConnections struct {
	all     []vault.Connection
	err     error // of those that could not be read
	explain bool
}

func (h *handler) resolve(ctx context.Context, names []string) pathConnections {
	s := pathConnections{explain: h.Explain}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		c, err := h.Resolve(ctx, name)
		if err != nil {
			s.err = errors.Join(s.err, err)
			continue
		}
		s.all = append(s.all, c)
	}
	return s
}

// proofIn tells whether there is something that may be a proof.
func (s pathConnections) proofIn(header http.Header) bool {
	return slices.ContainsFunc(s.all, func(c vault.Connection) bool { return header.Get(headerOf(c)) != "" })
}

// verify returns the connection that proves who sent a request: of several the first by
// name.
func (s pathConnections) verify(header http.Header, body []byte, open bool) (connection string, err error) {
	err = errNone
	for _, c := range s.all {
		switch bad := Verify(c, header, body); bad {
		case nil:
			return c.Name, nil
		case errApp, errSecret:
			s.err = errors.Join(s.err, errors.New(c.Name+": "+bad.Error()))
		case errWrong:
			err = bad
		}
	}
	switch {
	case s.err != nil:
		if s.explain {
			return "", &Refusal{Status: http.StatusServiceUnavailable, Reason: "its sender cannot be verified: " + s.err.Error()}
		}
		return "", &Refusal{Status: http.StatusServiceUnavailable, Reason: "its sender cannot be verified; send it again", Err: s.err}
	case open:
		return NoConnection, nil
	}
	reason := err.Error()
	if s.explain {
		reason += ": " + s.expectedProofs()
	}
	return "", &Refusal{Status: http.StatusUnauthorized, Reason: reason}
}

// expectedProofs says which headers would verify a request.
func (s pathConnections) expectedProofs() string {
	var ways []string
	for _, c := range s.all {
		what := "the HMAC-SHA256 of the body with the secret of"
		if c.Get("type") == "shared" {
			what = "the secret of"
		}
		ways = append(ways, fmt.Sprintf("%s must contain %s %s", headerOf(c), what, c.Name))
	}
	return strings.Join(ways, ", or ")
}

// headers returns the headers for flows, without those that hold a secret.
func (s pathConnections) headers(header http.Header) map[string]any {
	out := make(map[string]any, len(header))
	for name, values := range header {
		value := strings.Join(values, ", ")
		if !s.isSecret(name, value) {
			out[strings.ToLower(name)] = value
		}
	}
	return out
}

func (s pathConnections) isSecret(name, value string) bool {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	return slices.ContainsFunc(s.all, func(c vault.Connection) bool {
		secret := c.Secret("secret")
		return http.CanonicalHeaderKey(headerOf(c)) == name || !secret.IsZero() && strings.Contains(value, secret.Reveal())
	})
}
