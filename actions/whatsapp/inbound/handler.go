package inbound

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"facteur/actions/webhook"
	"facteur/vault"

	"golang.org/x/sync/semaphore"
)

// Options are what Handler works with. Resolve and Apply are required.
type Options struct {
	// Resolve returns a connection, as a vault.Vault does.
	Resolve func(ctx context.Context, name string) (vault.Connection, error)
	// Apply durably stores the notifications of a webhook: it is answered after that.
	Apply func(ctx context.Context, connection string, told []Notification) error
	// Known tells whether a phone number ID is one of ours. What webhooks tell of others
	// is left out, with a line in the log, unless it names a call: that may be of a flow as it
	// was before. nil: all are.
	Known func(connection, phoneNumberID string) bool
	// Insecure takes webhooks without a signature where the connection has no app_secret.
	Insecure bool

	BodyTimeout time.Duration // how long a body may take; 0: webhook.DefaultTimeout
	Log         *slog.Logger  // nil: nothing is logged
	// Answered, when not nil, is told of each request, for metrics. It must be quick.
	Answered func(Answer)
}

// An Answer is the result of a request, for metrics.
type Answer struct {
	Connection string // "" where there is none of that name
	Status     int
	// Unreadable: it was signed by Meta, but could not be parsed.
	Unreadable bool
	Took       time.Duration
}

const (
	// parsing bounds the bytes of bodies that are read at the same time: as values they
	// take ten times as much.
	parsing = 32 << 20
	// vaultTimeout is how long the vault is waited for where its last answer would do.
	vaultTimeout = time.Second
)

// Handler answers Meta at /webhooks/whatsapp/{connection}; it takes the connection from
// the request's path value of that name. The answers:
//
//	200  GET: the address is ours; POST: what it tells is stored
//	400  the body broke off; not signed, as it may be: it is not a webhook
//	401  it is not signed with the connection's app_secret
//	403  GET: it does not give the connection's verify_token
//	404  there is no such connection
//	405  it is neither GET nor POST
//	408, 413, 415  the body came too slowly, has more than 3 MB, is compressed
//	503  it could not be checked or stored, or too many long bodies come
//
// Meta repeats for 7 days what is not answered with 200, and calls less often where that
// happens much. So a body that Meta signed is answered with 200 also where it cannot be
// read: again it would be the same. The log tells of it, and so does Unreadable.
func Handler(o Options) http.Handler {
	return &handler{
		Options: o, notices: webhook.LimitedLog{Log: o.Log}, room: semaphore.NewWeighted(parsing),
		bodies: webhook.Reader{Most: MaxBody, Timeout: o.BodyTimeout},
	}
}

type handler struct {
	Options
	notices webhook.LimitedLog
	bodies  webhook.Reader
	room    *semaphore.Weighted

	mu    sync.Mutex
	known map[string]vault.Connection // as the vault last gave them
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	a := Answer{Status: http.StatusOK}
	challenge, err := h.answer(w, r, &a)
	if err != nil {
		a.Status = http.StatusServiceUnavailable
		if refusal := (*webhook.Refusal)(nil); errors.As(err, &refusal) {
			a.Status = refusal.Status
		}
		h.logRefusal(a, r, err)
	}
	h.write(w, a.Status, challenge)
	if a.Took = time.Since(began); h.Answered != nil {
		h.Answered(a)
	}
}

func (h *handler) write(w http.ResponseWriter, status int, challenge string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff") // the challenge is a stranger's
	switch status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", "GET, POST")
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, challenge)
}

func refuse(status int, reason string, cause error) error {
	return &webhook.Refusal{Status: status, Reason: reason, Err: cause}
}

// logRefusal logs a refusal. Anybody can cause one, so it is limited to one line a minute.
func (h *handler) logRefusal(a Answer, r *http.Request, err error) {
	agent := r.UserAgent() // tells Meta, a scanner and the daemon's own check apart
	args := []any{"connection", a.Connection, "status", a.Status, "reason", err.Error(), "agent", agent[:min(len(agent), 100)]}
	switch {
	case a.Status == http.StatusNotFound, a.Status == http.StatusMethodNotAllowed:
	case a.Status == http.StatusServiceUnavailable:
		h.notices.Print(slog.LevelError, "unavailable "+a.Connection, "a WhatsApp webhook was not accepted; Meta will repeat it", args...)
	default:
		h.notices.Print(slog.LevelWarn, r.Method+http.StatusText(a.Status)+a.Connection, "a WhatsApp webhook was refused", args...)
	}
}

// answer does what a request is about. Its error is a *webhook.Refusal, or why nothing
// could be stored.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, a *Answer) (challenge string, err error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return "", refuse(http.StatusMethodNotAllowed, "a webhook must be a POST request", nil)
	}
	c, err := h.connection(r.Context(), r.PathValue("connection"))
	if err != nil {
		return "", err
	}
	a.Connection = c.Name
	if r.Method == http.MethodGet {
		challenge, err = VerifySubscription(r.URL.Query(), c.Secret("verify_token"))
		if err != nil {
			return "", refuse(http.StatusForbidden, "the callback URL was not verified", err)
		}
		return challenge, nil
	}
	return "", h.store(w, r, c, a)
}

// connection resolves a connection. While the vault cannot be read, or is too slow, its last answer
// is used: webhooks must not be lost because of the vault.
func (h *handler) connection(ctx context.Context, name string) (vault.Connection, error) {
	h.mu.Lock()
	last, known := h.known[name]
	h.mu.Unlock()
	resolving, stop := ctx, func() {}
	if known {
		resolving, stop = context.WithTimeout(ctx, vaultTimeout)
	}
	defer stop()
	c, err := h.Resolve(resolving, name)
	var unknown *vault.UnknownConnectionError
	var away interface{ Unreadable() bool }
	switch {
	case err == nil && c.App == vault.WhatsApp:
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.known == nil {
			h.known = map[string]vault.Connection{}
		}
		h.known[name] = c
		return c, nil
	case err == nil, errors.As(err, &unknown):
		return c, refuse(http.StatusNotFound, "there is no webhook at this path", nil)
	case known && ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &away) && away.Unreadable()):
		h.notices.Print(slog.LevelWarn, "vault "+name, "the vault cannot be read; WhatsApp webhooks are checked with the credentials read last", "connection", name, "error", err)
		return last, nil
	}
	return vault.Connection{Name: name}, refuse(http.StatusServiceUnavailable, "the connection cannot be read", err)
}

// store stores what a webhook tells.
func (h *handler) store(w http.ResponseWriter, r *http.Request, c vault.Connection, a *Answer) error {
	secret := c.Secret("app_secret")
	signature := r.Header.Get(SignatureHeader)
	signed := !secret.IsZero()
	switch {
	case !signed && !h.Insecure:
		return refuse(http.StatusServiceUnavailable, "its sender cannot be verified", ErrNoSecret)
	case signed && signature == "": // what nobody signed is not read
		return refuse(http.StatusUnauthorized, "it is not from Meta", ErrNotSigned)
	}
	body, err := h.bodies.Read(w, r)
	if err != nil {
		return err
	}
	if signed {
		if err := VerifySignature(body, signature, secret); err != nil {
			return refuse(http.StatusUnauthorized, "it is not from Meta", err)
		}
	}
	size := int64(len(body))
	if err := h.room.Acquire(r.Context(), size); err != nil {
		return err
	}
	defer h.room.Release(size)
	told, err := Parse(body)
	switch {
	case err != nil && !signed:
		return refuse(http.StatusBadRequest, "it is not a webhook", err)
	case err != nil:
		a.Unreadable = true
		h.notices.Print(slog.LevelError, "unreadable "+c.Name, "a WhatsApp webhook cannot be read; its content is lost", "connection", c.Name, "bytes", len(body), "error", err)
		return nil
	}
	if told = h.filterKnown(c.Name, told); len(told) == 0 {
		return nil
	}
	return h.Apply(r.Context(), c.Name, told)
}

// filterKnown leaves out notifications about numbers and calls of others, and logs unknown kinds.
func (h *handler) filterKnown(connection string, told []Notification) []Notification {
	kept := told[:0]
	for _, n := range told {
		if n.PhoneNumberID != "" && n.Call() == "" && h.Known != nil && !h.Known(connection, n.PhoneNumberID) {
			h.notices.Print(slog.LevelInfo, "number "+connection+" "+n.PhoneNumberID, "a WhatsApp webhook is about a number that no flow or connection names; it is ignored",
				"connection", connection, "phone_number_id", n.PhoneNumberID, "kind", n.Kind)
			continue
		}
		if n.Note != "" {
			h.notices.Print(slog.LevelInfo, "note "+n.Kind+n.Field+n.Note, "a WhatsApp webhook has unknown content; it is stored",
				"connection", connection, "kind", n.Kind, "field", n.Field, "note", n.Note)
		}
		kept = append(kept, n)
	}
	return kept
}
