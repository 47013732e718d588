// Package local runs plans in this process, over a journal.
//
// It performs what package machine decides: it records that a call is taken up before
// it makes it, and its outcome after, so that a run that was interrupted goes on without
// doing anything twice.
//
// Open gives the host of the daemon: it carries many runs, keeps those that only wait as
// rows of the journal, and after a crash goes on with all of them. New gives one that
// carries a run in the foreground, with Run and Resume: for `facteur run` and, with a
// virtual clock and recorded answers, for flow tests. Both carry a run in the same way.
package local

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// Options are what a host works with. Journal and Do are required; for Open, Restore, too.
type Options struct {
	Journal journal.Journal
	Do      call.Do
	Clock   host.Clock // nil: host.System; with a *host.Virtual, for New alone, a run is the same every time
	// Receipts tells whether receipts can reach the host.
	Receipts bool
	// Seal and Open encrypt what is personal at rest. nil: it is stored as it is.
	Seal, Open func(plain, context []byte) ([]byte, error)
	// OnStep is told of each step that ended, and of the values that are masked wherever
	// people see the step. It must be quick. nil: nobody is told.
	OnStep func(run string, step *machine.Step, sensitive []any)
	// Panicked is told of a fault of the program: a Do that panicked, or, with a call
	// that names only its run, what carries one. The stack and the value go nowhere else:
	// they may hold what people wrote. nil: nobody is told.
	Panicked func(c call.Call, value any, stack []byte)
	// Feed are events and receipts that come by themselves; for tests, and New alone.
	Feed []Feed
	// Crash is asked at each point of a call whether the host dies there; step is the
	// step's path. For tests.
	Crash func(p Point, step string, attempt int) bool
	// Hold is asked for how long a call is held back before it is taken up. For tests, and New
	// alone. nil: nothing is.
	Hold func(step string, attempt int) time.Duration
	// Hard ends calls that are under way when it ends. nil: never.
	Hard context.Context

	// What follows is for Open.

	// Restore compiles the plan of a stored run from its sources; see plan.Restore. By the end
	// of Open it was asked for the plans of all runs that have not ended.
	Restore func(name string, sources map[string]string) (*plan.Plan, error)
	// Workers is how many runs are carried at the same time; further ones wait in line.
	// 0: 1024.
	Workers int
	// Moment is how long a run that has nothing to do stays in memory. 0: a second.
	Moment time.Duration
	// Past returns the receipts of a call that came so far. nil: none are known.
	Past host.Past
	// Hash is a keyed hash of what must not be readable at rest: idempotency keys,
	// whose events are waited for, who was written to. nil: it is stored as it is.
	Hash func(string) string
	// Contact brings a recipient, as flows name it, into the form that calls to the same
	// one share, for List. nil: it has that form.
	Contact func(string) string
	// Ready tells whether a connection can be resolved. nil: nobody knows.
	Ready host.Ready
	// Fire is told of each event that was delivered, once the runs that wait for it had
	// their say, and whether one of them consumed it. It is called at least once; after
	// an error it is called again. nil: nobody is told.
	Fire func(ctx context.Context, e host.Event, claimed bool) error
	// Fires tells whether Fire has anything to do about an event; it must be quick. nil: it may.
	Fires func(e host.Event) bool
	// OnEnd is told of each run that ended. It must be quick. nil: nobody is told.
	OnEnd func(r *host.Result)
	// OnStuck is told of each run that goes no further until somebody has looked at it: it is
	// host.Mismatch. It must be quick. nil: nobody is told.
	OnStuck func(run string, why error)
	// OnHold is told when a hold begins and when it is lifted; of one of a limit, when it
	// begins and when it is slowed down further. It must be quick, and must not call the
	// host. nil: nobody is told.
	OnHold func(held host.Hold, lifted bool)
	// Restored says that the journal was just restored from a backup: what it holds of runs
	// that have not ended may be old, so they are host.Held until they are released.
	Restored bool
	// Backups are those that the journal was restored from, the first one first, for as long as
	// receipts of calls that it does not have may be there. Runs that are older than the last
	// restore, and those that a key begins, may have done more than it holds: Past is asked
	// before a call of theirs is made, and one of which nobody can tell is not made: the run is
	// host.Mismatch. None: never, or, with Restored, one, now.
	Backups []Backup
}

// A Host runs many plans in this process; see host.Host.
type Host struct {
	opts    Options
	virtual *host.Virtual // nil: time is real
	limits  limits
	serves  bool // it was opened
	life    context.Context
	die     context.CancelFunc
	atOnce  context.Context // has ended
	broken  atomic.Pointer[failure]
	pauses  atomic.Int32 // how many holds there are, and one while it stops
	trouble atomic.Int32 // how many connections were not ready
	plans   host.Plans

	pausing sync.Mutex // people pause and resume one after the other; taken before mu
	// Read-locked from when calls are admitted until they are recorded as taken up: who is told
	// that calls are paused is told of all that come after. Taken before mu.
	admitting sync.RWMutex
	mu        sync.Mutex
	wards     map[string]*ward
	topics    topics
	timers    timers
	jobs      agenda
	lanes     lanes
	free      int // workers
	locks     map[string]*lock
	holds     map[string]*hold         // by their Key
	troubled  map[string]time.Duration // connections that were not ready, and the next pause
	unknown   map[string]bool          // runs that ended with calls whose outcome is unknown, also while they wait to be retried
	stopping  bool                     // nothing new is carried …
	closed    bool                     // … and nothing new is begun at all
	stop      hold                     // keeps calls while the host stops
	searches  uint32
	stopped   *sync.Cond    // is signalled when a worker becomes free
	looks     time.Time     // when the clockwork does next …
	alarm     chan struct{} // … unless it is woken before
	crew      crew
	rooms     sync.Pool     // of *[]byte, where records are written before they are sealed
	firing    chan struct{} // bounds those who call Fire

	receipts []call.Receipt // of a host that was not opened: for runs that are not here
	feed     []feedState
}

// failure is why a host can store nothing more.
type failure struct{ err error }

func newHost(o Options) *Host {
	if o.Clock == nil {
		o.Clock = host.System{}
	}
	if o.Hard == nil {
		o.Hard = context.Background()
	}
	if o.Workers == 0 {
		o.Workers = 1024
	}
	if o.Moment == 0 {
		o.Moment = time.Second
	}
	if o.Restored && len(o.Backups) == 0 {
		o.Backups = []Backup{{At: o.Clock.Now()}}
	}
	virtual, _ := o.Clock.(*host.Virtual)
	h := &Host{
		opts: o, virtual: virtual, wards: map[string]*ward{}, topics: topics{}, free: o.Workers,
		locks: map[string]*lock{}, holds: map[string]*hold{}, troubled: map[string]time.Duration{}, unknown: map[string]bool{},
		alarm: make(chan struct{}, 1), firing: make(chan struct{}, maxFiring),
	}
	life, end := context.WithCancel(context.Background())
	h.life, h.die = life, func() { end(); h.crew.dismiss() }
	atOnce, over := context.WithCancel(life)
	over()
	h.atOnce = atOnce
	for _, f := range o.Feed {
		h.feed = append(h.feed, feedState{Feed: f})
	}
	return h
}

func (h *Host) now() time.Time { return h.opts.Clock.Now() }

// A Point is a moment in the life of a call.
type Point string

// The points, in their order.
const (
	Scheduled Point = "scheduled" // recorded as taken up, not made
	Sent      Point = "sent"      // made, its outcome not recorded
	Recorded  Point = "recorded"  // its outcome recorded
)

// A Feed is an event or a receipt that comes at a time.
type Feed struct {
	At    time.Duration // after the run's start, when After is ""
	After string        // a step's id or path: counts from its latest call …
	In    time.Duration // … this long
	Event *host.Event
	// Receipt is for the latest call of Step.
	Receipt *call.Receipt
	Step    string
}
