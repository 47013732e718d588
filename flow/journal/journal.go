// Package journal is the durable record of runs: for each run its head and, in order,
// what happened to it, and the events from outside that runs wait for. A run that was
// interrupted is rebuilt from here.
//
// Memory keeps it in this process, for tests and for runs that need no record; OpenSQLite
// keeps it in a file, which OpenReadOnly reads while another process writes it.
// journaltest.Exercise is what all journals must do.
//
// In a file, a change goes through a queue to the log, which makes it durable together with
// all that wait beside it, and later, with many more, to the tables: see log.go.
package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"facteur/sqlitefile"
)

// A Run is the head of a run's record.
type Run struct {
	Seq     int64 // its number: that of a run created later is larger; the journal sets it
	ID      string
	Flow    string
	Digest  string            // of the plan
	Version int               // of the machine that started it
	Sources map[string]string // texts by name: the flow's source, those of the flows that it calls, and what else belongs to the plan
	Inputs  []byte            // what tells the inputs from others: hashes
	By      string            // what started it
	Lock    string            // which runs it must not overtake, e.g. the hash of a concurrency key
	Status  string            // running, waiting, succeeded, failed, cancelled, …
	Started time.Time
	Ended   time.Time // zero while it has not
	Unknown int       // of how many of its calls nobody knows the outcome; the journal counts them
}

// A Record is one thing that happened to a run, in its stored form: fields may be
// added to the body of a kind, names never change.
type Record struct {
	At   time.Time
	Kind string
	Body json.RawMessage
}

// A Change is what is stored of a run at once: after a crash all of it is there, or
// nothing.
type Change struct {
	// Records are added to those of the run.
	Records []Record
	// Status is the run's from now on. A run has ended when Ended is not zero, and has
	// not, or not any more, when it is. "": both are as they were.
	Status string
	Ended  time.Time
	// Waits replaces what the run waits for. nil: that is as it was. A run that has ended
	// waits for nothing.
	Waits *Waits
	// Unknown are the keys of calls whose outcome nobody knows, Settled those of calls
	// where somebody does now. Each is counted once.
	Unknown, Settled []string
	// Took are the ids of stored events that the run consumed: they are claimed. Others
	// are left alone.
	Took []string
	// Recipients are contacts that the run wrote to, in the form that Filter asks for.
	Recipients []string
}

// Waits are what a run waits for, stored for whoever brings it.
type Waits struct {
	Until         time.Time      // the first timer; zero: none
	Subscriptions []Subscription // to events
	Keys          []string       // of calls whose receipts are wanted
	Note          json.RawMessage
}

// A Subscription waits for events.
type Subscription struct {
	Name       string
	Subject    string
	Connection string // "": of any
	Since      time.Time
}

// An Event came from outside.
type Event struct {
	ID         string // is stored once
	Name       string
	Subjects   []string
	Connection string // "" when that is not known
	At         time.Time
	Body       json.RawMessage
	Claimed    bool // a run consumed it
	Done       bool // nothing is to be done about it any more
}

// fits tells whether Events returns the event.
func (e *Event) fits(name, subject, connection string, since time.Time) bool {
	return e.Name == name && slices.Contains(e.Subjects, subject) && !e.At.Before(since) &&
		(connection == "" || e.Connection == "" || e.Connection == connection)
}

// running is the status of a run that was woken.
const running = "running"

// A Journal stores runs, the events that reach them, and small notes. It is safe for
// concurrent use; changes of one run are written by one caller at a time. What is written
// is kept in the order of the calls: if something is there after a crash, all that one
// process wrote before is there.
//
// What is durable survives a crash from the moment that the call returns, and so does all
// that was written before; what is not durable may return at once.
//
// What is handed to a journal or comes from it (bodies, Sources) may be shared: it must
// not be changed afterwards. A context bounds the wait for a place in the journal; what
// has its place is written whatever becomes of the context, so that an error from the
// context always means that nothing was stored.
type Journal interface {
	// Create stores a new run and its first change, durably. If there is a run of that
	// id it returns an *ExistsError, and that run is durable.
	Create(ctx context.Context, run Run, c Change) error
	// Write stores a change of a run. Without such a run it returns a *NotFoundError.
	Write(ctx context.Context, run string, durable bool, c Change) error
	// Load returns a run and all its records, or a *NotFoundError.
	Load(ctx context.Context, run string) (Run, []Record, error)
	// List returns the runs that match, the last created first.
	List(ctx context.Context, f Filter) ([]Run, error)
	// Unfinished calls each for the runs that have not ended, the first created first,
	// and with what they wait for. They come without their Sources. It ends with the
	// first error of each, and returns that. Others may write meanwhile.
	Unfinished(ctx context.Context, each func(Run, Waits) error) error

	// Deliver stores events, durably, in their order, and with them that the runs of wake
	// are running and wait for nothing. An event whose id is there already is dropped, and
	// not fresh; the runs are woken all the same. Runs that have ended, or are not there,
	// are left alone.
	Deliver(ctx context.Context, events []Event, wake []string) (fresh []bool, err error)
	// Wake stores that runs are running and wait for nothing. Those that have ended, or
	// are not there, are left alone. Without runs, a durable Wake only waits until all that
	// was written before would survive a crash.
	Wake(ctx context.Context, durable bool, runs ...string) error
	// Events returns the events of a name that have the subject, came through the
	// connection (an unknown one is any), and are of that time or later, in the order in
	// which they were delivered.
	Events(ctx context.Context, name, subject, connection string, since time.Time) ([]Event, error)
	// Open returns the events that are not done, in the order in which they were
	// delivered.
	Open(ctx context.Context) ([]Event, error)
	// Done stores, not durably, that an event is done.
	Done(ctx context.Context, id string) error

	// Note stores a small fact under a kind and a name, durably; nil removes it.
	Note(ctx context.Context, kind, name string, body json.RawMessage) error
	// Notes returns the facts of a kind, by name.
	Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error)

	// Prune forgets runs that ended before a time, and events before another one that are done,
	// at most so many, and tells how many they were. Less than most means that nothing is
	// left to forget. Runs with calls whose outcome is unknown are kept until those are
	// settled, and the last run, so that numbers are never used again.
	Prune(ctx context.Context, runs, events time.Time, most int) (int, error)
	// Close waits for what was written, and returns an error if some of it is lost.
	Close() error
}

// A Filter selects runs. Zero fields match all.
type Filter struct {
	Flow      string
	Status    string
	Unknown   bool      // only runs with calls whose outcome nobody knows
	Recipient string    // a contact that the run wrote to
	Since     time.Time // the run started then or later …
	Until     time.Time // … and before this
	Before    int64     // the run's Seq is smaller
	Limit     int       // 0: 100; negative: all
}

// limit is how many runs to return, with zero resolved; it is negative for all.
func (f Filter) limit() int { return cmp.Or(f.Limit, 100) }

// ErrClosed says that the journal was closed, ErrInUse that another process writes it: only
// one may. ErrOlder says that one to be read is of an older version: see OpenSQLite.
var (
	ErrClosed = sqlitefile.ErrClosed
	ErrInUse  = sqlitefile.ErrInUse
	ErrOlder  = sqlitefile.ErrOlder
)

// NotFoundError says that there is no such run.
type NotFoundError struct{ Run string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no run %q", e.Run) }

// ExistsError says that a run of that id is stored already.
type ExistsError struct{ Run string }

func (e *ExistsError) Error() string { return fmt.Sprintf("there is a run %q already", e.Run) }
