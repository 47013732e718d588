// Package call defines what the language and the actions exchange.
//
// The machine requests a Call; the host performs it with a Do and returns the Outcome; a
// Receipt brings news after the answer. A Signature tells the language all that it knows about
// an action, so that it never imports one.
package call

import (
	"context"
	"strconv"
	"strings"
	"time"

	"facteur/flow/schema"
)

// A Call is one attempt to perform an action.
type Call struct {
	Key        string // "f1.<run>.<n>", never reused, not even by retries
	First      string // the key of the step's first attempt, which identifies the step among all others
	Run        string
	Step       string // the id or the path of the step, for messages and recordings
	Attempt    int    // from 1
	Action     string
	Connection string         // a name in the vault, "" for none; never a secret
	Input      map[string]any // coerced by the signature's In
	Idempotent bool           // the author says that repeating the call is harmless
	Timeout    time.Duration  // of this attempt; 0: the action's own
	Await      string         // the state that the step waits for, which makes an accepted call Pending; "": none

	// Begin is set for a call that Prepares. The action must call it before the part that
	// cannot be undone. It returns once it is recorded that the call may have happened from
	// here on. After an error the call must not happen: it has been given up. nil: this was
	// recorded before the call.
	Begin func(ctx context.Context) error `json:"-"`
}

// KeyOf returns the key of the n-th call of a run, from 1.
func KeyOf(run string, n int) string { return "f1." + run + "." + strconv.Itoa(n) }

// NumberOf returns the number of a key's call within its run, 0 if it is not one of our keys.
func NumberOf(key string) int {
	n, _ := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:])
	return n
}

// RunOf returns the run of a call's key, "" if it is not one of our keys.
func RunOf(key string) string {
	rest, ok := strings.CutPrefix(key, "f1.")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return ""
	}
	return rest[:dot]
}

// Do performs one call. It returns exactly one outcome, also if ctx ends. After a crash it is
// called again with the same key, but only if the call is idempotent or provably was not
// started.
type Do func(ctx context.Context, c Call) Outcome

// Status is the result of a call.
type Status string

// The statuses. An action may only claim Failed by Permanent and Retry: whatever may have
// happened is Unknown.
const (
	Succeeded Status = "succeeded"
	Pending   Status = "pending" // accepted; receipts decide
	Failed    Status = "failed"  // definitely refused
	Unknown   Status = "unknown" // it may have happened
	Cancelled Status = "cancelled"
)

// An Outcome is the result of a call with its details.
type Outcome struct {
	Status    Status
	Output    map[string]any // by the signature's Out; may also be set after a failure
	Error     *Error
	Retryable bool          // of Failed: the same call may succeed later
	After     time.Duration // of Failed: the minimum delay of a retry
	Backoff   string        // of Failed: "pair" is 4^X seconds without jitter
	Throttled string        // the key of the limit that was exceeded according to the answer
	Held      bool          // nothing was attempted, because the vault or the connection is not ready
	Refused   bool          // of Failed: the credentials were refused, and the vault has no newer ones
}

// An Error says what went wrong, in the form that flows see as steps.<id>.error.
type Error struct {
	Code       string // outcome_unknown, timeout, invalid_input …, or the API's number as text
	MetaCode   int64
	Message    string
	Class      string
	StatusCode int64 // of HTTP; 0: no answer
	Details    map[string]any
}

func (e *Error) Error() string { return e.Message }

// Accepted is the state of a receipt that says that the call was accepted, as its answer
// would. It replaces an answer that was received, but lost before the run learned of it.
const Accepted = "accepted"

// A Receipt is news about a call after it was made, e.g. a status webhook.
type Receipt struct {
	Key   string // of the call
	ID    string // of the receipt; duplicates are dropped
	State string
	Data  map[string]any
	Error *Error
}

// A Limit is a token bucket that calls have to pass before they are started.
type Limit struct {
	Key   string
	Rate  float64 // per second
	Burst int
	// Of names what Key identifies after its last colon, such as "number", for people; "" if
	// it only concerns this call.
	Of string
}

// Name is the limit's name for people, such as "number 106540352242922"; "" without Of.
func (l Limit) Name() string {
	if l.Of == "" {
		return ""
	}
	return l.Of + " " + l.Key[strings.LastIndexByte(l.Key, ':')+1:]
}

// A Signature describes an action to the language. Its functions are pure.
type Signature struct {
	Name string // "whatsapp.send_message"
	Doc  string
	App  string // the app of its connection, "" if it takes none
	// ConnectionOptional allows steps without a connection.
	ConnectionOptional bool
	In, Out            *schema.Type // objects

	// Idempotent reports whether repeating the call is harmless. nil: never.
	Idempotent func(in map[string]any) bool
	// Prepares reports whether a call starts with something that may be repeated, such as to
	// claim something, and then calls Call.Begin. Before that it certainly has not happened,
	// so that it is repeated if the host crashes. nil: never.
	Prepares func(in map[string]any) bool
	// Recipient returns the contact that the call writes to, in a normalized form; replies are
	// matched from that call on. nil: none.
	Recipient func(in map[string]any) string
	// Limits returns the token buckets that a call over a connection has to pass. nil: none.
	Limits func(connection string, in map[string]any) []Limit
	// States are the receipt states that `await` may name, in order.
	States []string
	// Receipt is the type of a receipt's Data, with defaults for flow tests. nil: any.
	Receipt *schema.Type
	// Settle turns a receipt into outputs and an outcome, given the outputs so far; in is nil
	// once the step has succeeded. The status Pending means that the receipt decides nothing
	// and the step keeps waiting for want ("" if only whether the call happened matters).
	// Receipts come in any order and more than once: the final result must not depend on it.
	// nil: the action has no receipts.
	Settle func(in, out map[string]any, r Receipt, want string) Outcome
	// UnknownOutput is the output of a call with unknown outcome that returned none itself,
	// e.g. because the host stopped.
	UnknownOutput map[string]any
	// Check checks rules that a type cannot express. It reports nothing that depends on a part
	// that is still unknown.
	Check func(in schema.Value) schema.Violations
	// SpecializeCheck returns a faster Check for inputs that equal known, except in the parts
	// that are unknown in it. nil: Check itself.
	SpecializeCheck func(known schema.Value) func(in schema.Value) schema.Violations
	// Lint is a Check that only runs when a flow is checked, never before a call, because it
	// compares with what may change in between. nil: none.
	Lint func(in schema.Value) schema.Violations
	// LintNoConnection is a Lint of steps without a connection. nil: none.
	LintNoConnection func(in schema.Value) schema.Violations
	// Volatile are the JSON paths of requests that differ between runs and are not recorded,
	// e.g. "biz_opaque_callback_data".
	Volatile []string
}

// An Event is a kind of event that flows can wait for.
type Event struct {
	Name string // "whatsapp.message"
	Doc  string
	Type *schema.Type // of `event` in `when`
	// By is the key of wait_for that says whose events are meant: "from" or "path".
	By string
	// Subject normalizes the value of that key, for comparison with Recipient of calls. It
	// returns an error for an invalid value.
	Subject func(value string) (string, error)
	// SinceCall says that events count from the run's latest call to the subject, instead of
	// from the run's start.
	SinceCall bool
	// Connection says that wait_for may name a connection for this kind.
	Connection bool
	// App is the app of the connections by which senders of this kind are authenticated:
	// wait_for and triggers have to name one, or none. "": senders are not authenticated.
	App string
}

// A Catalog is what a flow may use.
type Catalog interface {
	// Action returns the signature of that name, or nil.
	Action(name string) *Signature
	// Event returns the event kind of that name, or nil.
	Event(name string) *Event
	// Names returns the names of all actions and of all event kinds, sorted.
	Names() (actions, events []string)
}
