// Package trigger starts flows from outside: by the events that a host delivers, and by
// the times of schedules. It works on any host.
//
// Give a Starter the plans with Set, give its Fire to the host, and call Run for as long as the
// daemon runs. Each start has an idempotency key, made of the flow, the trigger, and the event
// or time, so that none starts a run twice.
package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"facteur/flow/host"
	"facteur/flow/plan"
)

// Options configure a Starter. All are optional.
type Options struct {
	Clock host.Clock // nil: host.System
	// Notes stores when schedules were last met. It is needed unless the host is a
	// host.Scheduler, or there are no schedules.
	Notes Notes
	// Restored says that Notes are from a backup: the times of schedules since then may have
	// been met, so that they count as missed, and `missed: once` makes up for none.
	Restored bool
	Log      *slog.Logger // nil: nothing is logged
	// Count is called with the result of each event at a trigger, and of each time of a
	// schedule, for metrics. It must be quick. nil: not called.
	Count func(flow, trigger string, r Result)
}

// Notes stores small values durably, as a journal does. A nil body deletes one.
type Notes interface {
	Note(ctx context.Context, kind, name string, body json.RawMessage) error
	Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error)
}

// A Result is the result of an event or a time at a trigger.
type Result string

// The results. Failed and Refused need a person's attention: the log says why.
const (
	Started  Result = "started"
	Repeated Result = "repeated" // it had started a run before
	Failed   Result = "failed"   // an expression of the trigger, or inputs that do not fit
	Refused  Result = "refused"  // by the host; it is tried again
	Missed   Result = "missed"   // no process ran at the time
)

// A Starter starts flows. It is safe for concurrent use.
type Starter struct {
	Options
	host   host.Host
	served chan struct{} // closed by Serve
	set    chan struct{} // closed by the first Set
	table  atomic.Pointer[table]
	wake   chan struct{} // receives when the schedules have changed

	mu          sync.Mutex
	waitSenders webhookSenders // of all plans so far, for runs that have not ended
}

// New returns a starter without flows. The host may be nil, as opening one takes Fire: Serve
// sets it later.
func New(h host.Host, o Options) *Starter {
	if o.Clock == nil {
		o.Clock = host.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Starter{Options: o, served: make(chan struct{}), set: make(chan struct{}), wake: make(chan struct{}, 1)}
	if h != nil {
		s.Serve(h)
	}
	return s
}

// Serve sets the host. It must be called once, unless New was given one.
func (s *Starter) Serve(h host.Host) {
	s.host = h
	close(s.served)
}

// startRun starts a run, as soon as there is a host.
func (s *Starter) startRun(ctx context.Context, p *plan.Plan, start host.Start) (run host.Run, fresh bool, err error) {
	if err := waitFor(ctx, s.served); err != nil {
		return run, false, err
	}
	run, fresh, err = s.host.Start(ctx, p, start)
	if reused := (*host.ReusedError)(nil); errors.As(err, &reused) {
		return run, false, nil // the same event gives other inputs by now, e.g. after a reload
	}
	return run, fresh, err
}

func waitFor(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Starter) count(p *plan.Plan, t *plan.Trigger, r Result) {
	if s.Count != nil {
		s.Count(p.Name, t.Kind, r)
	}
}

// A table has the triggers of a project.
type table struct {
	onEvents  []candidate // those of one flow follow one another, in the flow's order
	senders   webhookSenders
	schedules []host.Schedule
	loaded    time.Time
}

// A candidate is a trigger whose flow an event may start.
type candidate struct {
	plan    *plan.Plan
	trigger *plan.Trigger
}

// Set replaces the plans of the starter. Webhooks that steps of earlier plans wait for are still
// known, as runs of them may wait.
func (s *Starter) Set(plans []*plan.Plan) {
	t := &table{loaded: s.Clock.Now()}
	for _, p := range plans {
		for _, trigger := range p.Triggers {
			if trigger.Kind == "webhook" {
				t.senders.add(webhookSender{path: trigger.Path, connection: trigger.Connection, open: trigger.Open})
			}
			if trigger.Kind != "schedule" {
				t.onEvents = append(t.onEvents, candidate{p, trigger})
			}
		}
		t.addSchedules(p)
	}
	s.KeepWebhooks(plans...)
	if s.table.Swap(t) == nil {
		close(s.set)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
