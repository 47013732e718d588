// Package temporal runs plans as Temporal workflows: for when one machine is not enough.
//
// A run is one workflow, in which the same machine decides as on every host; a call is an
// activity that is tried once, because retries are the machine's. The flow's sources
// travel with the run, so that any daemon can carry it. Waits are timers and signals. What
// nobody knows after a worker was lost is unknown, and settled by a webhook or a person.
// An overloaded server does as if a worker was lost: it may note that a call began, and
// hand it to none. On the server both look the same, so that call is unknown, too, and not
// made again; one that prepares itself is, since the server knows when it began.
//
// Open gives a host that also works: it carries runs, and makes calls, in this process.
// Any number of daemons do so beside each other, over one namespace and one task queue.
// What is personal is sealed before it leaves the process, and ids are hashes; only the
// names of flows and what starts runs can be read on the server.
package temporal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// Options are what a host works with. Address, Do, Catalog and Restore are required.
type Options struct {
	Address   string // of the server, host:port
	Namespace string // "": default. It is made beforehand, by whoever owns the server
	Queue     string // the task queue of all daemons that share runs; "": facteur
	// TLS says whom to trust, and may prove by a certificate who asks. nil: the connection is
	// plain, unless there is an API key.
	TLS *tls.Config
	// APIKey returns what proves to the server who asks, for each request. nil: nothing does.
	APIKey func(ctx context.Context) (string, error)

	Do call.Do
	// Catalog holds the signatures of the actions that Do performs.
	Catalog call.Catalog
	// Restore compiles the plan of a run from its sources.
	Restore func(name string, sources map[string]string) (*plan.Plan, error)
	// Receipts tells whether receipts can reach the host.
	Receipts bool
	// Seal and Open encrypt all that is handed to the server. nil: it is stored as it is.
	Seal, Open func(plain, context []byte) ([]byte, error)
	// Hash is a keyed hash of what must not be readable at rest: idempotency keys,
	// whose events are waited for, who was written to. nil: it is stored as it is.
	Hash func(string) string
	// Contact brings a recipient, as flows name it, into the form that calls to the same
	// one share, for List. nil: it has that form.
	Contact func(string) string
	// Past returns the receipts of a call that came so far. nil: none are known.
	Past host.PastReceipts
	// Ready tells whether a connection can be resolved. nil: nobody knows.
	Ready host.Ready
	// Fire is told of each event that was delivered, once the runs that wait for it had
	// their say, and whether one of them consumed it. It is called at least once, by any
	// one of the daemons; after an error it is called again. nil: nobody is told.
	Fire func(ctx context.Context, e host.Event, claimed bool) error
	// Meet is told of each time of the schedules that Schedule was given. It is called at
	// least once, by any one of the daemons, also for flows that this one has not loaded;
	// after an error it is called again. nil: this host keeps no schedules.
	Meet func(ctx context.Context, due host.DueSchedule) error

	// OnStep is told of each step that ended while this process carried its run, and of
	// the values that are masked wherever people see the step. It must be quick, and may
	// be told twice. nil: nobody is told.
	OnStep func(run string, step *machine.Step, sensitive []any)
	// OnEnd is told of each run that this process carried to its end, perhaps twice. It
	// must be quick. nil: nobody is told.
	OnEnd func(r *host.Result)
	// OnHold is told when this process learns of a hold, and that one is lifted. It must
	// be quick. nil: nobody is told.
	OnHold func(held host.Hold, lifted bool)
	// Panicked is told of a Do that panicked. nil: nobody is told.
	Panicked func(c call.Call, value any, stack []byte)
	// Log is told what the SDK and the host have to say to whoever operates them. nil:
	// nobody is told.
	Log *slog.Logger
	// Hard ends calls that are under way when it ends. nil: never.
	Hard context.Context

	// Workers is how many runs, and how many calls, are carried at the same time. 0: 1024.
	Workers int
	// Lost is after how long without a sign of life a worker counts as lost, and the
	// outcome of its calls as unknown. 0: 30 seconds.
	Lost time.Duration
}

// A Host carries runs as workflows; see host.Host.
type Host struct {
	opts   Options
	client client.Client
	worker worker.Worker
	broken atomic.Pointer[error] // why the worker gave up; nil: it has not
	life   context.Context
	die    context.CancelFunc
	beside sync.WaitGroup

	plans   host.PlanCache
	fresh   fresh
	holds   holds
	senders senders
	buckets buckets
	under   underWay
	intake  *intake
	begun   func(*runner) // is told of each run that begins; for replays. nil: nobody is told

	mu       sync.Mutex
	stopping bool
}

var (
	_ host.Host      = (*Host)(nil)
	_ host.Scheduler = (*Host)(nil)
)

// Open connects to the server and begins to work, until Stop.
func Open(ctx context.Context, o Options) (*Host, error) {
	if o.Address == "" || o.Do == nil || o.Catalog == nil || o.Restore == nil {
		return nil, errors.New("a host on Temporal needs the address of the server, Do, Catalog and Restore")
	}
	o = o.withDefaults()
	h := &Host{opts: o, intake: newIntake()}
	h.life, h.die = context.WithCancel(context.Background())
	var err error
	if h.client, err = dial(ctx, o, h.intake); err != nil {
		return nil, err
	}
	if err := h.open(ctx); err != nil {
		h.die()
		h.client.Close()
		return nil, err
	}
	return h, nil
}

func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = client.DefaultNamespace
	}
	if o.Queue == "" {
		o.Queue = "facteur"
	}
	if o.Workers == 0 {
		o.Workers = 1024
	}
	if o.Lost == 0 {
		o.Lost = 30 * time.Second
	}
	if o.Hard == nil {
		o.Hard = context.Background()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (h *Host) open(ctx context.Context) error {
	if err := h.ensureAttributes(ctx); err != nil {
		return err
	}
	if err := h.readHolds(ctx); err != nil {
		return err
	}
	h.worker = worker.New(h.client, h.opts.Queue, worker.Options{
		MaxConcurrentActivityExecutionSize:      h.opts.Workers,
		MaxConcurrentWorkflowTaskExecutionSize:  h.opts.Workers,
		MaxConcurrentEagerActivityExecutionSize: h.opts.Workers,
		MaxHeartbeatThrottleInterval:            h.opts.Lost / 4,
		BackgroundActivityContext:               h.opts.Hard,
		DeadlockDetectionTimeout:                pagedTaskTime / 2, // a run of many calls that is rebuilt takes more than the usual second
		StickyScheduleToStartTimeout:            min(h.opts.Lost, 5*time.Second),
		WorkerStopTimeout:                       stopTime,
		DisableRegistrationAliasing:             true,
		OnFatalError:                            func(err error) { h.broken.Store(&err) },
	})
	h.register(h.worker)
	if err := h.worker.Start(); err != nil {
		return fmt.Errorf("start to work on the task queue %s: %w", h.opts.Queue, err)
	}
	h.launch(h.watchHolds)
	return nil
}

// stopTime is how long Stop lets calls finish at most.
const stopTime = 10 * time.Minute

func (h *Host) launch(f func()) { h.beside.Go(f) }

// Stop takes nothing new, lets the calls that are under way finish until ctx ends, and
// leaves the runs to other daemons, or to this one when it is opened again.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	again := h.stopping
	h.stopping = true
	h.mu.Unlock()
	if again {
		return nil
	}
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		h.senders.stop()
		h.worker.Stop()
	}()
	var back sync.WaitGroup
	back.Go(func() { h.giveBack(ctx, over) })
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	close(over)
	back.Wait()
	h.die()
	h.beside.Wait()
	h.client.Close()
	return err
}

func (h *Host) isStopping() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopping
}

func (h *Host) hash(s string) string {
	if h.opts.Hash == nil {
		return s
	}
	return h.opts.Hash(s)
}
