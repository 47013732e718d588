package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/flow/call"
)

// A Scope is the kind of thing that a hold covers.
type Scope string

// The scopes.
const (
	All        Scope = "all" // without a name
	Connection Scope = "connection"
	Flow       Scope = "flow"
	Limit      Scope = "limit" // set only by hosts, for a limit that throttled answers slowed down
)

// Check returns what is wrong with the scope and name of a hold that a person asks for.
func (s Scope) Check(name string) error {
	switch {
	case s != All && s != Connection && s != Flow:
		return fmt.Errorf("unknown scope %q: use all, connection or flow", s)
	case s == All && name != "":
		return fmt.Errorf("the scope all takes no name, but %q was given", name)
	case s != All && name == "":
		return fmt.Errorf("the name of the %s is missing", s)
	}
	return nil
}

// A Hold keeps the calls that it covers from being taken up.
type Hold struct {
	Scope  Scope
	Name   string
	Reason string
	Since  time.Time
	// Auto: the host set the hold, e.g. because credentials were refused or the vault does not
	// answer, and lifts it when that has changed.
	Auto  bool
	Calls int // calls that it holds back now
	// Until is when it ends by itself; zero: not known.
	Until time.Time
}

// Key identifies the hold. A hold that the host set and one that a person set differ.
func (h *Hold) Key() string {
	key := string(h.Scope) + "/" + h.Name
	if h.Auto {
		key = "auto/" + key
	}
	return key
}

// Covers tells whether the hold is for a call of a flow.
func (h *Hold) Covers(flow string, c *call.Call) bool {
	switch h.Scope {
	case All:
		return true
	case Connection:
		return h.Name == c.Connection
	case Flow:
		return h.Name == flow
	}
	return false
}

// Why tells people why a call that the hold covers waits.
func (h *Hold) Why() string {
	what := "all calls are"
	if h.Scope != All {
		what = fmt.Sprintf("the %s %q is", h.Scope, h.Name)
	}
	if h.Reason == "" {
		return what + " paused"
	}
	return what + " paused: " + h.Reason
}

// Compare orders holds for display, the oldest first.
func (h *Hold) Compare(other *Hold) int {
	if c := h.Since.Compare(other.Since); c != 0 {
		return c
	}
	return strings.Compare(h.Key(), other.Key())
}

// NoHold says that there is no hold of that scope and name.
func NoHold(scope Scope, name string) *NotFoundError {
	return &NotFoundError{What: strings.TrimSpace(fmt.Sprintf("hold of %s %s", scope, name))}
}

// A StoredHold is the stored form of a hold.
type StoredHold struct {
	Scope   Scope     `json:"scope"`
	Name    string    `json:"name,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Since   time.Time `json:"since"`
	Auto    bool      `json:"auto,omitempty"`
	Version string    `json:"version,omitempty"` // Auto: of the refused credentials, once it is known
}

// Stored returns the stored form of the hold.
func (h *Hold) Stored(version string) StoredHold {
	return StoredHold{h.Scope, h.Name, h.Reason, h.Since, h.Auto, version}
}

// Hold returns the hold that is stored.
func (s StoredHold) Hold() Hold {
	return Hold{Scope: s.Scope, Name: s.Name, Reason: s.Reason, Since: s.Since, Auto: s.Auto}
}

// How often a host checks whether the reason for an automatic hold is gone.
const (
	MinProbeDelay   = time.Second      // until a connection that could not be resolved is probed …
	MaxProbeDelay   = 30 * time.Second // … and how far that backs off
	RenewalInterval = 10 * time.Second // between checks whether refused credentials were replaced
)

// LookupTimeout bounds how long a host waits for one answer of a vault or a ledger.
const LookupTimeout = 10 * time.Second

// Ready tells whether a connection can be resolved, and the version of its credentials, "" if
// there is no such connection. With a context that has ended it answers only from what is known
// already. nil: it is not known.
type Ready func(ctx context.Context, connection string) (version string, err error)

// Check calls r, for at most LookupTimeout.
func (r Ready) Check(ctx context.Context, connection string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	return r(ctx, connection)
}
