// Package call is what the language and the actions say to each other.
//
// The machine asks for a Call; the host performs it with a Do and hands the Outcome
// back; news that comes after the answer is a Receipt. A Signature tells the language
// all that it knows about an action, so that the language never imports one.
package call

import (
	"context"
	"strconv"
	"strings"
	"time"

	"facteur/flow/schema"
)

// A Call is one attempt to do something in the world.
type Call struct {
	Key        string // "f1.<run>.<n>", never used twice, retries included
	First      string // the key of the step's first attempt, which tells the step from all others
	Run        string
	Step       string // the id or the place of the step, for messages and recordings
	Attempt    int    // from 1
	Action     string
	Connection string         // a name in the vault, "" for none; never a secret
	Input      map[string]any // coerced by the signature's In
	Idempotent bool           // the author says that doing it twice is harmless
	Timeout    time.Duration  // of this attempt; 0: the action's own
	Await      string         // the state that the step waits for, so that an accepted call is Pending; "": none

	// Begin is set for a call that Prepares, and is to be called before what cannot be taken
	// back. It returns when it is recorded that the call may have happened from here on.
	// After an error nobody counts on the call any more, and it must not happen. nil: that
	// was recorded before.
	Begin func(ctx context.Context) error `json:"-"`
}

// KeyOf returns the key of the n-th call of a run, from 1.
func KeyOf(run string, n int) string { return "f1." + run + "." + strconv.Itoa(n) }

// NumberOf returns which call of its run a key is of, 0 when it is none of ours.
func NumberOf(key string) int {
	n, _ := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:])
	return n
}

// RunOf returns the run that a call's key belongs to, "" when it is none of ours.
func RunOf(key string) string {
	rest, ok := strings.CutPrefix(key, "f1.")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return ""
	}
	return rest[:dot]
}

// Do performs one call. It returns exactly one outcome, also when ctx ends. After a
// crash it is called again with the same key, but only if the call is idempotent or
// provably was not started.
type Do func(ctx context.Context, c Call) Outcome

// Status is what became of a call.
type Status string

// The statuses. Only Permanent and Retry outcomes of an action may claim Failed:
// whatever may have happened is Unknown.
const (
	Succeeded Status = "succeeded"
	Pending   Status = "pending" // accepted; receipts decide
	Failed    Status = "failed"  // definitely refused
	Unknown   Status = "unknown" // it may have happened
	Cancelled Status = "cancelled"
)

// An Outcome is the result of a call.
type Outcome struct {
	Status    Status
	Output    map[string]any // by the signature's Out; also set after a failure
	Error     *Error
	Retryable bool          // of Failed: the same call may succeed later
	After     time.Duration // of Failed: not before this has passed
	Backoff   string        // of Failed: "pair" is 4^X seconds without jitter
	Throttled string        // the key of the limit that the answer says was hit
	Held      bool          // nothing was tried: the surroundings (vault, connection) are not ready
	Refused   bool          // of Failed: the credentials were refused, and the vault has no others by now
}

// An Error is what went wrong, in the form that flows see as steps.<id>.error.
type Error struct {
	Code       string // outcome_unknown, timeout, invalid_input …, or the API's number as text
	MetaCode   int64
	Message    string
	Class      string
	StatusCode int64 // HTTP; 0: no answer
	Details    map[string]any
}

func (e *Error) Error() string { return e.Message }

// Accepted is the state of a receipt that says what the call's answer says: it was accepted. It
// stands in for an answer that was heard, and lost before the run was told.
const Accepted = "accepted"

// A Receipt is news about a call after it was made, e.g. a status webhook.
type Receipt struct {
	Key   string // of the call
	ID    string // of the receipt itself; a repeated one is dropped
	State string
	Data  map[string]any
	Error *Error
}

// A Limit is a token bucket that calls pass before they are taken up.
type Limit struct {
	Key   string
	Rate  float64 // per second
	Burst int
	// Of says for people what it is that Key names behind its last colon, such as
	// "number"; "" where that is nobody's but this call's.
	Of string
}

// Name is what people call the limit, such as "number 106540352242922"; "" without Of.
func (l Limit) Name() string {
	if l.Of == "" {
		return ""
	}
	return l.Of + " " + l.Key[strings.LastIndexByte(l.Key, ':')+1:]
}

// A Signature describes an action to the language. The functions are pure.
type Signature struct {
	Name string // "whatsapp.send_message"
	Doc  string
	App  string // the app of its connection, "" when it takes none
	// ConnectionOptional: the step may leave out the connection.
	ConnectionOptional bool
	In, Out            *schema.Type // objects

	// Idempotent tells whether doing the call twice is harmless. nil: never.
	Idempotent func(in map[string]any) bool
	// Prepares tells whether a call first does what may well be done again, such as to
	// claim something, and then calls Call.Begin: before that it surely did not happen, so that
	// a host that has died meanwhile makes it again. nil: never.
	Prepares func(in map[string]any) bool
	// Recipient is the contact that the call writes to, in a form that equal
	// contacts share; events are matched from there on. nil: none.
	Recipient func(in map[string]any) string
	// Limits names the buckets that a call over a connection passes. nil: none.
	Limits func(connection string, in map[string]any) []Limit
	// States are the receipt states that `await` may name, in their order.
	States []string
	// Receipt is what Data of a receipt holds, an object with the defaults of flow
	// tests. nil: anything.
	Receipt *schema.Type
	// Settle turns a receipt into outputs and an outcome, given the outputs so far; in
	// is nil once the step has succeeded. The status Pending means: it says nothing
	// new, go on waiting for want ("" when only whether the call happened matters).
	// Receipts come in any order and more than once: what they come to in the end must
	// not depend on it. nil: the action has no receipts.
	Settle func(in, out map[string]any, r Receipt, want string) Outcome
	// UnknownOutput are outputs of a call whose outcome is unknown, where the call itself left
	// none, e.g. because the host stopped.
	UnknownOutput map[string]any
	// Check runs the rules that a type cannot express. It reports nothing that
	// depends on a part that is still unknown.
	Check func(in schema.Value) schema.Violations
	// SpecializeCheck returns what is left of Check for inputs like these, which differ only in
	// what is unknown here: it says of them what Check says. nil: Check itself.
	SpecializeCheck func(known schema.Value) func(in schema.Value) schema.Violations
	// Lint is a Check that runs only when a flow is checked, never before a call: it
	// compares with what may have changed by then. nil: there is none.
	Lint func(in schema.Value) schema.Violations
	// LintNoConnection is a Lint of steps that name no connection. nil: there is none.
	LintNoConnection func(in schema.Value) schema.Violations
	// Volatile are the JSON paths of requests that differ from run to run and are
	// left out of recordings, e.g. "biz_opaque_callback_data".
	Volatile []string
}

// An Event is a kind of event that flows can wait for.
type Event struct {
	Name string // "whatsapp.message"
	Doc  string
	Type *schema.Type // what `event` is in `when`
	// By is the key of wait_for that says whose events are meant: "from" or "path".
	By string
	// Subject brings the value of that key into the form that equal ones share; it is
	// compared with Recipient of calls. It returns an error for a value that can be none.
	Subject func(value string) (string, error)
	// SinceCall: events count from the run's latest call to the subject, not from
	// the run's start.
	SinceCall bool
	// Connection: wait_for may name a connection for this kind.
	Connection bool
	// App is that of the connections with which senders of this kind prove themselves:
	// wait_for and triggers then must name one, or none. "": nothing has to be proved.
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
