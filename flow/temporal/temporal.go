// Package temporal runs plans as Temporal workflows: for when one machine is not enough.
//
// A run is one workflow, in which the same machine decides as on every host; a call is an
// activity that is tried once, because retries are the machine's. The flow's sources are in
// the workflow's input, so that any daemon can execute the run. Waits are timers and signals.
// When a worker is lost, the outcomes of its calls are unknown until a receipt or a person
// settles them. An overloaded server looks the same: it may record that a call's activity
// started, and hand it to no worker. That call is unknown, too, and not made again; one that
// Prepares is, as the server knows whether it began.
//
// Open returns a host that is also a worker: it executes runs, and makes calls, in this
// process. Any number of daemons do so at the same time, over one namespace and one task
// queue. Personal data is sealed before it leaves the process, and ids are hashes; only the
// names of flows and what starts runs can be read on the server.
package temporal

import (
	"cmp"
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
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
)

// Options configure a host. Address, Do, Catalog and Restore are required.
type Options struct {
	Address   string // of the server, host:port
	Namespace string // must exist; "": default
	Queue     string // the task queue of all daemons that share runs; "": facteur
	// TLS configures the connection, and may have a client certificate. nil: no TLS, unless
	// there is an API key.
	TLS *tls.Config
	// APIKey returns the API key for a request. nil: none is sent.
	APIKey func(ctx context.Context) (string, error)

	Do call.Do
	// Catalog has the signatures of the actions that Do performs.
	Catalog call.Catalog
	// Restore compiles the plan of a run from its sources.
	Restore func(name string, sources map[string]string) (*plan.Plan, error)
	// Receipts says whether receipts can reach this host.
	Receipts bool
	// Seal and Open encrypt and decrypt all values on the server. nil: they are stored in the
	// clear.
	Seal, Open func(plain, context []byte) ([]byte, error)
	// Hash is a keyed hash for what must not be readable at rest: idempotency keys, event
	// subjects, recipients. nil: they are stored in the clear.
	Hash func(string) string
	// Contact normalizes a recipient as flows write it, so that List finds all runs that wrote
	// to the same contact. nil: it is used unchanged.
	Contact func(string) string
	// Past returns the receipts of a call that have come so far. nil: none are known.
	Past host.PastReceipts
	// Ready checks whether a connection can be resolved. nil: it is not checked.
	Ready host.Ready
	// Fire is called with each delivered event, after every run that waits for it has decided
	// whether it consumes it; claimed says whether one did. It is called at least once, by any
	// one of the daemons, and again after an error. nil: not called.
	Fire func(ctx context.Context, e host.Event, claimed bool) error
	// Meet is called at each time of the schedules given to Schedule. It is called at least
	// once, by any one of the daemons, also for flows that this one has not loaded, and again
	// after an error. nil: this host keeps no schedules.
	Meet func(ctx context.Context, due host.DueSchedule) error

	// OnStep is called with each step that ended in this process, and with the values that
	// are to be masked wherever people see it. It must be quick, and may be called twice for a
	// step. nil: not called.
	OnStep func(run string, step *machine.Step, sensitive []any)
	// OnEnd is called with the result of each run that ended in this process. It must be
	// quick, and may be called twice for a run. nil: not called.
	OnEnd func(r *host.Result)
	// OnHold is called when this process learns that a hold began, or was lifted. It must be
	// quick. nil: not called.
	OnHold func(held host.Hold, lifted bool)
	// Panicked is called after a panic of Do, with its value and stack. nil: not called.
	Panicked func(c call.Call, value any, stack []byte)
	// Log is the log of the SDK and the host. nil: nothing is logged.
	Log *slog.Logger
	// Hard cancels calls in flight when it ends. nil: never.
	Hard context.Context

	// Workers is how many runs, and how many calls, execute at the same time. 0: 1024.
	Workers int
	// Lost is how long a worker may send no heartbeat before it counts as lost, and the
	// outcomes of its calls as unknown. 0: 30 seconds.
	Lost time.Duration
}

// A Host executes runs as workflows; see host.Host.
type Host struct {
	opts       Options
	data       converter.DataConverter // for all values on the server
	client     client.Client
	worker     worker.Worker
	fatal      atomic.Pointer[error] // why the worker stopped by itself; nil: it has not
	ctx        context.Context       // of goroutines in the background, until Stop
	cancel     context.CancelFunc
	background sync.WaitGroup

	plans    host.PlanCache
	started  startedRuns
	holds    holds
	senders  senderWorkers
	buckets  buckets
	inFlight sync.Map // of context.CancelFunc, by key: the calls that this process makes
	tasks    *taskTracker
	stopping atomic.Bool
	onRunner func(*runner) // called with each run that begins, for replays; nil: not called
}

var (
	_ host.Host      = (*Host)(nil)
	_ host.Scheduler = (*Host)(nil)
)

// Open connects to the server and starts the worker, until Stop.
func Open(ctx context.Context, o Options) (*Host, error) {
	if o.Address == "" || o.Do == nil || o.Catalog == nil || o.Restore == nil {
		return nil, errors.New("a host on Temporal needs the address of the server, Do, Catalog and Restore")
	}
	h := newHost(o)
	h.tasks = newTaskTracker()
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if err := h.dial(ctx); err != nil {
		return nil, err
	}
	if err := h.open(ctx); err != nil {
		h.cancel()
		h.client.Close()
		return nil, err
	}
	return h, nil
}

// newHost returns a host that is not connected.
func newHost(o Options) *Host {
	o = o.withDefaults()
	return &Host{
		opts: o, data: newConverter(o), started: startedRuns{runs: map[string]startedRun{}}, holds: holds{known: map[string]*hold{}},
		senders: senderWorkers{workers: map[string]worker.Worker{}}, buckets: buckets{known: map[string]*bucket{}},
	}
}

func (o Options) withDefaults() Options {
	o.Namespace = cmp.Or(o.Namespace, client.DefaultNamespace)
	o.Queue = cmp.Or(o.Queue, "facteur")
	o.Workers = cmp.Or(o.Workers, 1024)
	o.Lost = cmp.Or(o.Lost, 30*time.Second)
	o.Hard = cmp.Or(o.Hard, context.Background())
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
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
		DeadlockDetectionTimeout:                pagedTaskTime / 2, // rebuilding a run of many calls takes more than the default of a second
		StickyScheduleToStartTimeout:            min(h.opts.Lost, 5*time.Second),
		WorkerStopTimeout:                       stopTime,
		DisableRegistrationAliasing:             true,
		OnFatalError:                            func(err error) { h.fatal.Store(&err) },
	})
	h.register(h.worker)
	if err := h.worker.Start(); err != nil {
		return fmt.Errorf("start to work on the task queue %s: %w", h.opts.Queue, err)
	}
	h.background.Go(h.watchHolds)
	return nil
}

// stopTime bounds how long Stop lets calls finish.
const stopTime = 10 * time.Minute

// Stop takes nothing new, lets the calls in flight finish until ctx ends, and leaves the runs
// to other daemons, or to this one when it is opened again.
func (h *Host) Stop(ctx context.Context) error {
	if h.stopping.Swap(true) {
		return nil
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		h.senders.stop()
		h.worker.Stop()
	}()
	var returning sync.WaitGroup
	returning.Go(func() { h.returnTasks(ctx, stopped) })
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	close(stopped)
	returning.Wait()
	h.cancel()
	h.background.Wait()
	h.client.Close()
	return err
}

func (h *Host) hash(s string) string {
	if h.opts.Hash == nil {
		return s
	}
	return h.opts.Hash(s)
}
