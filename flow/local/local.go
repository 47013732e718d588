// Package local is the host that runs plans in this process, over a journal.
//
// Package machine decides what a run does next; this package does it. A call is recorded as
// taken up before it is made, and its outcome after, so that an interrupted run resumes
// without doing anything twice.
//
// Open returns the daemon's host: it executes many runs, parks those that only wait (their
// state is then in the journal alone), and resumes all of them after a crash. New returns a
// Foreground, whose Run and Resume execute one run while the caller waits: for `facteur run`
// and, with a virtual clock and recorded answers, for flow tests. Both use the same runner.
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

// Options configure a host. Journal and Do are required; Open also requires Restore.
type Options struct {
	Journal journal.Journal
	Do      call.Do
	Clock   host.Clock // nil: host.System. A *host.Virtual makes runs reproducible, and is for New only
	// Receipts says whether receipts can reach this host.
	Receipts bool
	// Seal and Open encrypt and decrypt personal data at rest. nil: it is stored in the clear.
	Seal, Open func(plain, context []byte) ([]byte, error)
	// OnStep is called with each step that ended, and with the values that are to be masked
	// wherever people see it. It must be quick. nil: not called.
	OnStep func(run string, step *machine.Step, sensitive []any)
	// Panicked is called after a panic, with its value and stack: of Do, or, when c names only
	// its run, of the code that executes the run. Neither is shown elsewhere, because they may
	// contain user data. nil: not called.
	Panicked func(c call.Call, value any, stack []byte)
	// Feed are events and receipts that arrive by themselves. For tests, and New only.
	Feed []Feed
	// Crash is asked at each Point of a call whether the host crashes there. step is the step's
	// path. For tests.
	Crash func(p Point, step string, attempt int) bool
	// Hold returns for how long a call is held back before it is taken up. For tests, and New
	// only. nil: no call is.
	Hold func(step string, attempt int) time.Duration
	// Hard cancels calls in flight when it ends. nil: never.
	Hard context.Context

	// The options below are for Open only.

	// Restore compiles the plan of a stored run from its sources; see plan.Restore. Open calls
	// it for the plans of all runs that have not ended.
	Restore func(name string, sources map[string]string) (*plan.Plan, error)
	// Workers is how many runs execute at the same time; others wait in the run queue.
	// 0: 1024.
	Workers int
	// MinParkTime is the shortest wait for a timer for which a run is parked; for a shorter one it
	// stays in memory. 0: one second.
	MinParkTime time.Duration
	// Past returns the receipts of a call that have come so far. nil: none are known.
	Past host.PastReceipts
	// Hash is a keyed hash for what must not be readable at rest: idempotency keys, event
	// subjects, recipients. nil: they are stored in the clear.
	Hash func(string) string
	// Contact normalizes a recipient as flows write it, so that List finds all runs that wrote
	// to the same contact. nil: it is used unchanged.
	Contact func(string) string
	// Ready checks whether a connection can be resolved. nil: it is not checked.
	Ready host.Ready
	// Fire is called with each delivered event, after every run that waits for it has decided
	// whether it consumes it; claimed says whether one did. It is called at least once, and
	// again after an error. nil: not called.
	Fire func(ctx context.Context, e host.Event, claimed bool) error
	// Fires says whether Fire does anything with an event. It must be quick. nil: it may.
	Fires func(e host.Event) bool
	// OnEnd is called with the result of each run that ended. It must be quick. nil: not called.
	OnEnd func(r *host.Result)
	// OnStuck is called for each run that became host.Mismatch: it goes no further until a
	// person intervenes. It must be quick. nil: not called.
	OnStuck func(run string, why error)
	// OnHold is called when a hold begins and when it is lifted; for the hold of a limit, when
	// it begins and when the limit is slowed down further. It must be quick, and must not call
	// the host. nil: not called.
	OnHold func(held host.Hold, lifted bool)
	// Restored says that the journal was just restored from a backup. Its unfinished runs may
	// be out of date, so they are host.Held until they are released.
	Restored bool
	// Backups are those that the journal was restored from, oldest first, kept for as long as
	// there may be receipts of calls that the journal does not have. A run that is older than
	// the last restore, or that was started with an idempotency key, may have done more than
	// the journal says: Past is asked before it makes a call, and where the receipts do not
	// tell whether the call was made, the run becomes host.Mismatch. Empty: never restored,
	// or, with Restored, restored once, now.
	Backups []Backup
}

// A Host executes many runs in this process; see host.Host.
type Host struct {
	opts         Options
	virtual      *host.Virtual // nil: time is real
	limits       limits
	opened       bool // by Open, not New
	ctx          context.Context
	cancel       context.CancelFunc
	expired      context.Context // is cancelled: for look-ups that must not block
	failure      atomic.Pointer[journalFailure]
	holdCount    atomic.Int32 // len(holds), plus one while the host stops
	backoffCount atomic.Int32 // len(backoffs)
	plans        host.PlanCache
	pool         goroutinePool
	buffers      sync.Pool     // *[]byte, to encode records before they are sealed
	fireSlots    chan struct{} // bounds concurrent calls of Fire
	clockWake    chan struct{} // wakes timerLoop before nextWake

	pauseMu sync.Mutex // serializes Pause and Resume; taken before mu
	// Read-locked from the admission of calls until they are recorded as taken up, so that once
	// Pause has returned no further call is taken up. Taken before mu.
	admitMu sync.RWMutex

	mu          sync.Mutex // guards what follows
	runs        map[string]*activeRun
	topics      topics
	timers      timers
	jobs        jobQueue
	runQueue    fairQueue[*activeRun] // of runs that wait for a worker
	freeWorkers int
	locks       map[string]*flowLock
	holds       map[string]*hold         // by their Key
	backoffs    map[string]time.Duration // before a connection that could not be resolved is probed again
	unknown     map[string]bool          // ended runs with calls of unknown outcome, also while they are queued for a retry
	stopping    bool                     // no run is given a worker any more …
	closed      bool                     // … and no goroutine is started
	stopHold    hold                     // holds all calls while the host stops
	searchCount uint32
	workerFreed *sync.Cond // a worker became free
	nextWake    time.Time  // when timerLoop wakes up

	receipts []call.Receipt // New only: of runs that are not active
	feed     []feedState
}

// A journalFailure is why the host can store nothing any more.
type journalFailure struct{ err error }

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
	if o.MinParkTime == 0 {
		o.MinParkTime = time.Second
	}
	if o.Restored && len(o.Backups) == 0 {
		o.Backups = []Backup{{At: o.Clock.Now()}}
	}
	virtual, _ := o.Clock.(*host.Virtual)
	h := &Host{
		opts: o, virtual: virtual, runs: map[string]*activeRun{}, topics: topics{}, freeWorkers: o.Workers,
		locks: map[string]*flowLock{}, holds: map[string]*hold{}, backoffs: map[string]time.Duration{}, unknown: map[string]bool{},
		clockWake: make(chan struct{}, 1), fireSlots: make(chan struct{}, maxFiring),
	}
	life, end := context.WithCancel(context.Background())
	h.ctx, h.cancel = life, func() { end(); h.pool.close() }
	atOnce, over := context.WithCancel(life)
	over()
	h.expired = atOnce
	for _, f := range o.Feed {
		h.feed = append(h.feed, feedState{Feed: f})
	}
	return h
}

func (h *Host) now() time.Time { return h.opts.Clock.Now() }

// A Point is a moment during a call.
type Point string

// The points, in order.
const (
	Scheduled Point = "scheduled" // recorded as taken up, not yet made
	Sent      Point = "sent"      // made, outcome not yet recorded
	Recorded  Point = "recorded"  // outcome recorded
)

// A Feed is an event or a receipt that arrives at a given time.
type Feed struct {
	At    time.Duration // after the run's start; used when After is ""
	After string        // a step's id or path: In counts from its latest call
	In    time.Duration
	Event *host.Event
	// Receipt is for the latest call of Step.
	Receipt *call.Receipt
	Step    string
}
