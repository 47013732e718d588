// Package host defines what all hosts have in common: the clock, events from outside, holds, what
// is reported of a run, and the interface Host of those that execute many runs and survive a
// crash. A host performs what package machine decides; machine.Machine says which rules it must
// obey, and hosttest.Exercise tests them.
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

// A Host executes many runs. What its methods return is durable: a host that is killed at any
// moment resumes, when it is opened again, every run that it accepted, and does nothing twice.
// It is safe for concurrent use.
type Host interface {
	// Start accepts a run. A start with an idempotency key that the flow has used before
	// returns the first run with that key and fresh = false, or a *ReusedError if the inputs
	// differ. A run that the flow's `concurrency` refuses is Rejected, and listed.
	Start(ctx context.Context, p *plan.Plan, s Start) (run Run, fresh bool, err error)
	// First returns the first run of a flow with an idempotency key, whatever the flow looks
	// like now. inputs are as they were given, or as they were coerced. Other inputs are a
	// *ReusedError, an unused key is a *NotFoundError.
	First(ctx context.Context, flow, key string, inputs map[string]any) (Run, error)
	// Wait waits for a run's end and returns its result.
	Wait(ctx context.Context, run string) (*Result, error)
	// Get returns all that is known of a run, or a *NotFoundError.
	Get(ctx context.Context, run string) (*Report, error)
	// List returns runs, the last started first, and the cursor for the next page, "" on the
	// last one. An invalid cursor is a *CursorError.
	List(ctx context.Context, f Filter) (runs []Run, next string, err error)

	// Cancel asks a run to end. One that has ended is a *StateError.
	Cancel(ctx context.Context, run, reason string) error
	// Retry makes a failed run go on: what succeeded stays, what failed is attempted again. A
	// step whose outcome is unknown is attempted again only with resend; without, such a run is
	// a *StateError. A run that its flow's `concurrency` does not admit now is queued, or, if
	// on_conflict is reject, a *StateError.
	Retry(ctx context.Context, run string, resend bool) error
	// Settle records whether a call of unknown outcome happened. step is its path, or its id
	// where that is unambiguous; for a run that was cancelled as a Mismatch, the call's key.
	Settle(ctx context.Context, run, step string, s Settlement) error
	// Release lets a run go on that is Held since a restore.
	Release(ctx context.Context, run string) error

	// Deliver delivers events to the runs that wait for them, now or later; when those have
	// decided, triggers get them. An event whose id was delivered before is dropped. After an
	// error some of the events may have been delivered.
	Deliver(ctx context.Context, events ...Event) error
	// Receive passes receipts to the runs that made the calls. Repeated ones, and those of
	// unknown runs, are dropped.
	Receive(ctx context.Context, receipts ...call.Receipt) error

	// Pause holds calls back until Resume. Calls in flight go on.
	Pause(ctx context.Context, scope Scope, name, reason string) error
	// Resume lifts a hold. If there is none it returns a *NotFoundError.
	Resume(ctx context.Context, scope Scope, name string) error
	// Holds returns why calls are held back now.
	Holds(ctx context.Context) ([]Hold, error)
}

// Start is the input of Host.Start.
type Start struct {
	Inputs map[string]any // coerced by the plan's Inputs
	Given  map[string]any // Inputs before they were coerced; nil: the same
	Key    string         // idempotency key; "": each start is a new run
	By     string         // what started it, for people: "api", "schedule", "webhook /orders" …
}

// Statuses of runs besides those of the machine.
const (
	Waiting  machine.Status = "waiting"         // for a time, an event or a receipt
	Queued   machine.Status = "queued"          // behind other runs, by the flow's concurrency
	Rejected machine.Status = "rejected"        // by the flow's concurrency; it never began
	Held     machine.Status = "held"            // after a restore, until it is released
	Mismatch machine.Status = "replay_mismatch" // stuck: its journal does not fit, or what it did since a backup cannot be known
)

// A Run is the summary of a run.
type Run struct {
	ID      string
	Flow    string
	Digest  string // of the plan
	Status  machine.Status
	By      string
	Started time.Time
	Ended   time.Time // zero until it has
	Unknown int       // calls whose outcome is unknown
}

// A Filter selects runs. Zero fields match all.
type Filter struct {
	Flow      string
	Status    machine.Status
	Unknown   bool   // only runs with calls whose outcome is unknown
	Recipient string // a contact that the run wrote to, as flows write it
	Since     time.Time
	Until     time.Time
	Cursor    string // from List
	Limit     int    // 0: 100; at most 1000
}

// PageSize returns how many runs Host.List returns at the most.
func (f Filter) PageSize() int {
	if f.Limit <= 0 {
		return 100
	}
	return min(f.Limit, 1000)
}

// A Report is all that is known of a run.
type Report struct {
	Run     Run
	Result  Result // so far; its Status is the machine's, Run.Status says more
	Inputs  map[string]any
	Sources map[string]string // what the plan was compiled from: plan.Plan's Texts
	Random  []int64           // the results of random() so far, in order
	Journal []Entry
	Waits   []string // what it waits for, for people
	Holds   []HeldCall
	Calls   []Call
}

// A Call is a call that a run made, with its input and outcome.
type Call struct {
	call.Call
	Wanted   time.Time // when the run first wanted it; until Taken it was held back
	Taken    time.Time
	Outcome  *call.Outcome // nil while it is in flight
	Receipts []call.Receipt
	Settled  *Settlement // what a person said last; nil: nothing
}

// An Entry is one record of a run's journal.
type Entry struct {
	At   time.Time       `json:"at"`
	Kind string          `json:"kind"` // start, taken, answered, received, fired, arrived, cancel, retried …
	Data json.RawMessage `json:"data"`
}

// A HeldCall is a call that is wanted and held back.
type HeldCall struct {
	Step   string
	Reason string
	Until  time.Time // zero: not known
}

// A Settlement is what a person says about a call of unknown outcome.
type Settlement struct {
	Happened bool
	ID       string // the API's id, e.g. a wamid; "" when it is not known
}

// A ReusedError says that an idempotency key was used before with other inputs.
type ReusedError struct{ Run, Key string }

func (e *ReusedError) Error() string {
	return fmt.Sprintf("the idempotency key %q was used before, with other inputs, by the run %s: use a new key for a new run", e.Key, e.Run)
}

// A NotFoundError says that there is no such run, step or hold.
type NotFoundError struct{ What string }

func (e *NotFoundError) Error() string { return "there is no " + e.What }

// A CursorError says that a cursor is not one of List's.
type CursorError struct{ Cursor string }

func (e *CursorError) Error() string {
	return fmt.Sprintf("there is no cursor %q: use one that a list returned", e.Cursor)
}

// A StateError says that a run is not in a state that allows what was asked.
type StateError struct {
	Run    string
	Reason string
	Hint   string
}

func (e *StateError) Error() string { return "run " + e.Run + ": " + e.Reason }

// A TooLargeError says that something exceeds what the host can store.
type TooLargeError struct {
	What        string
	Bytes, Most int // in stored form
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s is too large: %.1f MB as stored, at most %.1f MB are allowed; pass a reference to it instead, or split it among several runs",
		e.What, float64(e.Bytes)/1e6, float64(e.Most)/1e6)
}

// A StoppingError says that the host is stopping and accepts nothing new.
type StoppingError struct{}

func (e *StoppingError) Error() string { return "the host is stopping and accepts nothing new" }

// An Event comes from outside, for the runs that wait for it.
type Event struct {
	ID         string   // an event whose ID was delivered before is dropped
	Name       string   // its kind, e.g. "whatsapp.message"
	Subjects   []string // all names of the contact or thing it is about, as the kind's Subject returns them
	Connection string   // that it came through; "" when that is not known
	At         time.Time
	Data       map[string]any
}

// A Result is how a run ended, and its steps.
type Result struct {
	Run  string
	Flow string
	machine.Result
	Started, Ended time.Time
	Steps          []*machine.Step
	// Branches are those that a foreground run took; nil for others.
	Branches map[plan.CoveragePoint]bool
	// Sensitive are the values to mask wherever people see the result, or the run's inputs and
	// journal, except for the outputs that a caller gets. nil: they are not known, so no value
	// may be shown.
	Sensitive []any
}

// A StuckError says that a run waits for something that can never come.
type StuckError struct{ Waits []string }

func (e *StuckError) Error() string {
	what := "something"
	if len(e.Waits) > 0 {
		what = e.Waits[0]
	}
	return "the run waits for " + what + ", but nothing more will come"
}
