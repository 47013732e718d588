// Package journal is the durable record of runs: for each run its head and, in order,
// what happened to it. A run that was interrupted is rebuilt from here.
//
// Memory keeps it in this process, for tests and for runs that need no record; OpenSQLite
// keeps it in a file, which OpenReadOnly reads while another process writes it.
// journaltest.Exercise is what all journals must do.
package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"facteur/sqlitefile"
)

// A Run is the head of a run's record.
type Run struct {
	ID      string
	Flow    string
	Digest  string            // of the plan
	Version int               // of the machine that started it
	Sources map[string]string // the flow's source and those of the flows that it calls, by name
	Status  string            // running, succeeded, failed, cancelled, …
	Started time.Time
	Ended   time.Time // zero while it runs
}

// A Record is one thing that happened to a run, in its stored form: fields may be
// added to the body of a kind, names never change.
type Record struct {
	At   time.Time
	Kind string
	Body json.RawMessage
}

// A Journal stores runs. It is safe for concurrent use; the records of one run are
// appended by one caller at a time, and kept in that order.
//
// What is handed to a journal or comes from it (bodies, Sources) may be shared: it must
// not be changed afterwards. A context bounds the wait for a place in the journal; what
// has its place is written whatever becomes of the context, so that an error from the
// context always means that nothing was stored.
type Journal interface {
	// Create stores a new run and its first record, durably. If there is a run of that
	// id it returns an *ExistsError, and that run is durable.
	Create(ctx context.Context, run Run, first Record) error
	// Append adds records to a run. When durable is true it returns once they, and
	// every record appended before them, would survive a crash; otherwise it may
	// return at once. Without such a run it returns a *NotFoundError.
	Append(ctx context.Context, run string, durable bool, records ...Record) error
	// End stores the last records of a run, its status and when it ended, durably.
	End(ctx context.Context, run, status string, at time.Time, records ...Record) error
	// Load returns a run and all its records, or a *NotFoundError.
	Load(ctx context.Context, run string) (Run, []Record, error)
	// List returns the runs that match, the last created first.
	List(ctx context.Context, f Filter) ([]Run, error)
	// Close waits for what was appended, and returns an error if some of it is lost.
	Close() error
}

// A Filter selects runs. Zero fields match all.
type Filter struct {
	Status string
	Flow   string
	Limit  int // 0: 100; negative: all
}

// limit is how many runs to return, with zero resolved; it is negative for all.
func (f Filter) limit() int { return cmp.Or(f.Limit, 100) }

// ErrClosed says that the journal was closed, ErrInUse that another process writes it:
// only one may.
var (
	ErrClosed = sqlitefile.ErrClosed
	ErrInUse  = sqlitefile.ErrInUse
)

// NotFoundError says that there is no such run.
type NotFoundError struct{ Run string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no run %q", e.Run) }

// ExistsError says that a run of that id is stored already.
type ExistsError struct{ Run string }

func (e *ExistsError) Error() string { return fmt.Sprintf("there is a run %q already", e.Run) }
