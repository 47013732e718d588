package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/flow/call"
)

// A Scope says what a hold is about.
type Scope string

// The scopes.
const (
	All        Scope = "all" // has no name
	Connection Scope = "connection"
	Flow       Scope = "flow"
	Limit      Scope = "limit" // set by hosts alone: one that answers slowed down
)

// Check says what is wrong with a hold of that scope and name that a person asks for.
func (s Scope) Check(name string) error {
	switch {
	case s != All && s != Connection && s != Flow:
		return fmt.Errorf("unknown scope %q: it is all, connection or flow", s)
	case s == All && name != "":
		return fmt.Errorf("the scope all has no name, and this one is %q", name)
	case s != All && name == "":
		return fmt.Errorf("which %s? its name is missing", s)
	}
	return nil
}

// A Hold keeps calls from being taken up.
type Hold struct {
	Scope  Scope
	Name   string
	Reason string
	Since  time.Time
	// Auto: the host set it, e.g. because credentials were refused or the vault does not
	// answer, and lifts it when that has changed.
	Auto  bool
	Calls int // how many it holds back now
	// Until is when it ends by itself; zero where nobody knows.
	Until time.Time
}

// Key identifies the hold: what the host set is another one than what a person did.
func (h *Hold) Key() string {
	key := string(h.Scope) + "/" + h.Name
	if h.Auto {
		key = "auto/" + key
	}
	return key
}

// Keeps tells whether the hold is about a call of a flow.
func (h *Hold) Keeps(flow string, c *call.Call) bool {
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

// Why says, of a call that the hold keeps, why it waits.
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

// Compare orders holds as people see them, the oldest first.
func (h *Hold) Compare(other *Hold) int {
	if c := h.Since.Compare(other.Since); c != 0 {
		return c
	}
	return strings.Compare(h.Key(), other.Key())
}

// NoHold says that there is no such hold.
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
	Version string    `json:"version,omitempty"` // Auto: of the credentials that were refused, once it is known
}

// Stored returns the form in which the hold is stored.
func (h *Hold) Stored(version string) StoredHold {
	return StoredHold{h.Scope, h.Name, h.Reason, h.Since, h.Auto, version}
}

// Hold returns the hold.
func (s StoredHold) Hold() Hold {
	return Hold{Scope: s.Scope, Name: s.Name, Reason: s.Reason, Since: s.Since, Auto: s.Auto}
}

// How often a host looks whether what it set a hold for has changed.
const (
	FirstProbe   = time.Second      // until it is tried whether a connection can be resolved again …
	SlowestProbe = 30 * time.Second // … and how far that grows
	Renewed      = 10 * time.Second // between looks whether refused credentials were replaced
)

// Patience is how long a host waits for one answer of what it asks, such as a vault.
const Patience = 10 * time.Second

// Ready tells whether a connection can be resolved, and which version of its credentials
// there is now: none if there is no such connection. Asked with a context that has ended it
// says what it knows without asking anybody. nil: nobody knows.
type Ready func(ctx context.Context, connection string) (version string, err error)

// Look asks, and waits for the answer for a while.
func (r Ready) Look(ctx context.Context, connection string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	return r(ctx, connection)
}
