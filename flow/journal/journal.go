// Package journal is the durable record of runs: of each run its head and its events in
// order, and the events from outside that runs wait for. A run that was interrupted is
// rebuilt from its journal.
//
// Memory keeps a journal in this process, for tests and for runs that need no record;
// OpenSQLite keeps it in a file, which OpenReadOnly reads while another process writes it.
// journaltest.Exercise tests what all journals must do.
//
// In a file, a change goes through a queue to the log, where one sync makes it durable
// together with all others in the queue; later it is flushed, with many more, to the tables:
// see log.go.
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
	Seq     int64 // its number, set by the journal; a run that is created later has a larger one
	ID      string
	Flow    string
	Digest  string            // of the plan
	Version int               // of the machine that started it
	Sources map[string]string // texts by name: the flow's source, those of the flows that it calls, and what else belongs to the plan
	Inputs  []byte            // hashes, to compare the inputs with others
	By      string            // what started it
	Lock    string            // runs with the same one start in order, e.g. the hash of a concurrency key
	Status  string            // running, waiting, succeeded, failed, cancelled, …
	Started time.Time
	Ended   time.Time // zero until it has ended
	Unknown int       // how many of its calls have an unknown outcome; counted by the journal
}

// A Record is one event of a run in its stored form: fields may be added to the body of a
// kind, names never change.
type Record struct {
	At   time.Time
	Kind string
	Body json.RawMessage
}

// A Change is stored atomically: after a crash all of it is there, or nothing.
type Change struct {
	// Records are added to those of the run.
	Records []Record
	// Status is the run's new status; "" leaves Status and Ended unchanged. With it a zero
	// Ended means that the run has not ended, or goes on after it had.
	Status string
	Ended  time.Time
	// Waits replaces what the run waits for; nil leaves it unchanged. A run that has ended
	// waits for nothing.
	Waits *Waits
	// Unknown are the keys of calls whose outcome has become unknown, Settled those of calls
	// whose outcome is known now. Each key is counted once.
	Unknown, Settled []string
	// Consumed are the ids of events that the run consumed: they become Claimed. Ids that
	// are not stored are ignored.
	Consumed []string
	// Recipients are contacts that the run wrote to, as in Filter.Recipient.
	Recipients []string
}

// Waits are what a run waits for.
type Waits struct {
	Until         time.Time       // its first timer; zero: none
	Subscriptions []Subscription  // to events
	Keys          []string        // of calls whose receipts are wanted
	Note          json.RawMessage // the host's own
}

// A Subscription selects the events that a run waits for.
type Subscription struct {
	Name       string
	Subject    string
	Connection string // "": any
	Since      time.Time
}

// An Event came from outside, e.g. a message.
type Event struct {
	ID         string // an event of the same id is not stored again
	Name       string
	Subjects   []string
	Connection string // "" when that is not known
	At         time.Time
	Body       json.RawMessage
	Claimed    bool // a run consumed it
	Done       bool // it is handled: OpenEvents does not return it
}

// matches reports whether Events returns the event.
func (e *Event) matches(name, subject, connection string, since time.Time) bool {
	return e.Name == name && slices.Contains(e.Subjects, subject) && !e.At.Before(since) &&
		(connection == "" || e.Connection == "" || e.Connection == connection)
}

// running is the status of runs after Wake and Deliver.
const running = "running"

// A Journal stores runs, the events that reach them, and notes. It is safe for concurrent
// use, except that the caller must not write changes of one run concurrently. Writes are
// ordered: if one is there after a crash, so are all that the process made before it.
//
// A durable write has survived any later crash, with all writes before it, when the call
// returns; one that is not durable may return at once.
//
// What is handed to a journal or comes from it (bodies, Sources) may be shared: it must
// not be changed afterwards. A context bounds the wait for a place in the write queue; a
// queued write is completed even if the context ends, so that an error from the context
// always means that nothing was stored.
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
	// Unfinished calls each with the runs that have not ended, the first created first, and
	// with what they wait for. The runs have no Sources. It stops at the first error of each,
	// and returns it. each may write to the journal.
	Unfinished(ctx context.Context, each func(Run, Waits) error) error

	// Deliver durably stores events, in their order, and atomically wakes runs as Wake does.
	// An event whose id is stored already is dropped, and not fresh; the runs are woken all
	// the same.
	Deliver(ctx context.Context, events []Event, wake []string) (fresh []bool, err error)
	// Wake stores that runs are running and wait for nothing. Runs that have ended or do not
	// exist are ignored. Without runs, a durable Wake only waits until all earlier writes are
	// durable.
	Wake(ctx context.Context, durable bool, runs ...string) error
	// Events returns the events of a name and subject since a time, in the order in which they
	// were delivered. With a connection it returns those that came through it, or through one
	// that is not known; with "" those of all connections.
	Events(ctx context.Context, name, subject, connection string, since time.Time) ([]Event, error)
	// OpenEvents returns the events that are not Done, in the order in which they were
	// delivered.
	OpenEvents(ctx context.Context) ([]Event, error)
	// MarkDone stores, not durably, that an event is Done.
	MarkDone(ctx context.Context, id string) error

	// Note durably stores a small value under a kind and a name; nil removes it.
	Note(ctx context.Context, kind, name string, body json.RawMessage) error
	// Notes returns the notes of a kind by name.
	Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error)

	// Prune deletes runs that ended before a time, and Done events before another one, at
	// most limit of them, and returns how many. Less than limit means that nothing is left to
	// prune. It keeps runs that have calls with an unknown outcome, and the latest run, so
	// that numbers are never reused.
	Prune(ctx context.Context, runs, events time.Time, limit int) (int, error)
	// Close waits for all writes, and returns an error if some were lost.
	Close() error
}

// A Filter selects runs. Zero fields match all.
type Filter struct {
	Flow      string
	Status    string
	Unknown   bool      // only runs that have calls with an unknown outcome
	Recipient string    // a contact that the run wrote to
	Since     time.Time // the run started then or later …
	Until     time.Time // … and before this
	Before    int64     // the run's Seq is smaller
	Limit     int       // 0: 100; negative: all
}

// limit returns how many runs to return at most; negative: all.
func (f Filter) limit() int { return cmp.Or(f.Limit, 100) }

// ErrClosed says that the journal was closed, ErrInUse that another process has it open for
// writing, which only one may, and ErrOlder that a journal opened with OpenReadOnly is of an
// older version: OpenSQLite migrates it.
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
