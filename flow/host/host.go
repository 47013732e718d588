// Package host holds what every host of runs speaks of: the clock that it lives by,
// events from outside, what it reports of a run, and, for hosts that carry many runs and
// outlive a crash, the Host itself. A host performs what package machine decides; see
// machine.Machine for the law that it must obey. hosttest.Exercise is what all hosts must
// do.
package host

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A Host runs plans for real, many at a time. Whatever it returns is durable when it
// returns: a host that is killed at any moment goes on, when it is opened again, with
// every run that it accepted, and does nothing twice. It is safe for concurrent use.
type Host interface {
	// Start accepts a run. A second start of a flow with a key that was used before is
	// the first one: it returns that run and fresh = false, or a *ReusedError when its
	// inputs differ. A run that the flow's `concurrency` refuses is Rejected, and
	// listed.
	Start(ctx context.Context, p *plan.Plan, s Start) (run Run, fresh bool, err error)
	// First returns the run that the first start of a flow with a key began, whatever has
	// become of the flow since. inputs are as they were given, or as they were coerced: that
	// run began with others is a *ReusedError, that there is none a *NotFoundError.
	First(ctx context.Context, flow, key string, inputs map[string]any) (Run, error)
	// Wait returns how a run ended, as soon as it has.
	Wait(ctx context.Context, run string) (*Result, error)
	// Get returns all that is known of a run, or a *NotFoundError.
	Get(ctx context.Context, run string) (*Report, error)
	// List returns runs, the last started first, and the cursor that leads to the next
	// ones, "" when there are none. A cursor that is none is a *CursorError.
	List(ctx context.Context, f Filter) (runs []Run, next string, err error)

	// Cancel asks a run to end. One that has ended is a *StateError.
	Cancel(ctx context.Context, run, reason string) error
	// Retry makes a run that failed go on: what succeeded stays, what failed is done
	// again, with further attempt numbers. A step whose outcome is unknown is done again
	// only with resend; otherwise such a run is a *StateError. Where the flow bounds how
	// many of its runs go on, it waits for its turn, or is a *StateError, as a start is
	// refused.
	Retry(ctx context.Context, run string, resend bool) error
	// Settle says what became of a call whose outcome is unknown. step is its path, or
	// its id where that is clear; of a run that was cancelled as a Mismatch, the key of
	// the call.
	Settle(ctx context.Context, run, step string, s Settlement) error
	// Release lets a run go on that is Held since a backup was restored.
	Release(ctx context.Context, run string) error

	// Deliver brings events to the runs that wait for them, now or later; once they had
	// their say, triggers have theirs. An event whose id was delivered before is
	// dropped. After an error some may be delivered.
	Deliver(ctx context.Context, events ...Event) error
	// Receive brings receipts to the runs that made the calls, wherever they stand. A
	// repeated one is dropped, one of no run of ours too.
	Receive(ctx context.Context, receipts ...call.Receipt) error

	// Pause holds calls back until Resume; what is under way goes on.
	Pause(ctx context.Context, scope Scope, name, reason string) error
	// Resume lifts a hold. One that is not there is a *NotFoundError.
	Resume(ctx context.Context, scope Scope, name string) error
	// Holds returns why calls are held back now.
	Holds(ctx context.Context) ([]Hold, error)
}

// Start is what a run begins with.
type Start struct {
	Inputs map[string]any // coerced by the plan's Inputs
	Given  map[string]any // what they were coerced from; nil: themselves
	Key    string         // of idempotency; "": each start is a new run
	By     string         // what starts it, for people: "api", "schedule", "webhook /orders" …
}

// The statuses that runs have besides those of the machine.
const (
	Waiting  machine.Status = "waiting"         // for a time, an event or a receipt
	Queued   machine.Status = "queued"          // behind others, by the flow's concurrency
	Rejected machine.Status = "rejected"        // by the flow's concurrency; it never began
	Held     machine.Status = "held"            // until it is released, after a restore
	Mismatch machine.Status = "replay_mismatch" // it goes no further: its journal does not fit, or nobody can tell what it did since a backup
)

// A Run is the head of a run.
type Run struct {
	ID      string
	Flow    string
	Digest  string // of the plan
	Status  machine.Status
	By      string
	Started time.Time
	Ended   time.Time // zero while it has not
	Unknown int       // how many of its calls nobody knows the outcome of
}

// A Filter selects runs. Zero fields match all.
type Filter struct {
	Flow      string
	Status    machine.Status
	Unknown   bool   // only runs with calls whose outcome is unknown
	Recipient string // a contact that the run wrote to, as flows name it
	Since     time.Time
	Until     time.Time
	Cursor    string // from List
	Limit     int    // 0: 100; at most 1000
}

// A Report is all that is known of a run.
type Report struct {
	Run     Run
	Result  Result // as far as the run came; its Status is that of the machine, Run.Status says more
	Inputs  map[string]any
	Sources map[string]string // what the plan was compiled from: plan.Plan's Texts
	Random  []int64           // what random() gave it so far, in order
	Journal []Entry
	Waits   []string // what it waits for, for people
	Holds   []HeldCall
	Calls   []Call
}

// A Call is one call that a run made, with what the action was given and what became of
// it.
type Call struct {
	call.Call
	Wanted   time.Time // from then on it was held back, until it was taken up
	Taken    time.Time
	Outcome  *call.Outcome // nil while it is under way
	Receipts []call.Receipt
	Settled  *Settlement // what a person said of it last; nil: nothing
}

// An Entry is one thing that happened to a run.
type Entry struct {
	At   time.Time       `json:"at"`
	Kind string          `json:"kind"` // start, taken, answered, received, fired, arrived, cancel, retried …
	Data json.RawMessage `json:"data"`
}

// A HeldCall is one that was not taken up yet.
type HeldCall struct {
	Step   string
	Reason string
	Until  time.Time // zero: until somebody or something lifts it
}

// A Settlement is what a person says of a call whose outcome was unknown.
type Settlement struct {
	Happened bool
	ID       string // what the API calls it, e.g. a wamid; "" when nothing is known
}

// A ReusedError says that a key was used before with other inputs.
type ReusedError struct{ Run, Key string }

func (e *ReusedError) Error() string {
	return fmt.Sprintf("the idempotency key %q was used before, with other inputs, by the run %s: use a new key for a new run", e.Key, e.Run)
}

// A NotFoundError says that there is no such run, step or hold.
type NotFoundError struct{ What string }

func (e *NotFoundError) Error() string { return "there is no " + e.What }

// A CursorError says that a list has no such cursor.
type CursorError struct{ Cursor string }

func (e *CursorError) Error() string {
	return fmt.Sprintf("there is no cursor %q: use one that a list came with", e.Cursor)
}

// A StateError says that a run is not in a state for what was asked.
type StateError struct {
	Run    string
	Reason string
	Hint   string
}

func (e *StateError) Error() string { return "run " + e.Run + ": " + e.Reason }

// A TooLargeError says that something is larger than the host can store.
type TooLargeError struct {
	What        string
	Bytes, Most int // as it is stored
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is too large: %.1f MB as it is stored, where %.1f MB is the most; pass on where to find it, or divide it among several runs",
		e.What, float64(e.Bytes)/1e6, float64(e.Most)/1e6)
}

// A StoppingError says that the host takes nothing new, because it stops.
type StoppingError struct{}

func (e *StoppingError) Error() string { return "the host stops and takes nothing new" }

// An Event comes from outside, for runs that wait for it.
type Event struct {
	ID         string   // a repeated one is dropped
	Name       string   // its kind, e.g. "whatsapp.message"
	Subjects   []string // whose event it is: all names of that, in the form of the kind's Subject
	Connection string   // which connection it came through, "" when that is not known
	At         time.Time
	Data       map[string]any
}

// A Result is how a run ended, and what became of its steps.
type Result struct {
	Run  string
	Flow string
	machine.Result
	Started, Ended time.Time
	Steps          []*machine.Step
	// Branches are the ways that a run in the foreground took; nil for others.
	Branches map[plan.CoveragePoint]bool
	// Sensitive are the values to mask wherever people see the result, or the run's
	// inputs and journal, except the outputs that a caller is given. nil: nobody knows
	// which those are, so that no value may be shown.
	Sensitive []any
}

// A StuckError says that a run waits for something that cannot come.
type StuckError struct{ Waits []string }

func (e *StuckError) Error() string {
	what := "something"
	if len(e.Waits) > 0 {
		what = e.Waits[0]
	}
	return "the run waits for " + what + ", and nothing more comes"
}
