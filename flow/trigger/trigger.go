// Package trigger starts flows from outside: by the events that a host delivers, and by
// the times of schedules. It works on any host.
//
// Give a Starter the plans with Set, its Fire to the host, and let Run go on for as long
// as the daemon does. Each start has a key, made of the flow, the trigger and what came:
// what comes twice starts once.
package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"facteur/flow/host"
	"facteur/flow/plan"
)

// Options are what a Starter works with. All may be left out.
type Options struct {
	Clock host.Clock // nil: host.System
	// Notes keeps when schedules were last met, where the host does not keep them itself.
	// nil: what is noted is forgotten when the process ends.
	Notes Notes
	// Restored says that Notes are from a backup: times of schedules between it and now may
	// have been met, so that they count as missed, and `missed: once` makes up for none.
	Restored bool
	Log      *slog.Logger // nil: nothing is logged
	// Count, when not nil, is told what became of each event that concerned a flow, and
	// of each time of a schedule, for metrics. It must be quick.
	Count func(flow, trigger string, v Verdict)
}

// Notes keeps small facts durably, as a journal does. A nil body deletes one.
type Notes interface {
	Note(ctx context.Context, kind, name string, body json.RawMessage) error
	Notes(ctx context.Context, kind string) (map[string]json.RawMessage, error)
}

// A Verdict is what became of an event or a time at a trigger.
type Verdict string

// The verdicts. Failed and Refused are for somebody to look at: the log says why.
const (
	Started  Verdict = "started"
	Repeated Verdict = "repeated" // it had started before
	Failed   Verdict = "failed"   // an expression of the trigger, or inputs that do not fit
	Refused  Verdict = "refused"  // by the host; it is tried again
	Missed   Verdict = "missed"   // nothing ran at the time
)

// A Starter starts flows. It is safe for concurrent use.
type Starter struct {
	Options
	host   host.Host
	served chan struct{} // closed when there is a host
	set    chan struct{} // closed when there is a table
	table  atomic.Pointer[table]
	wake   chan struct{} // the schedules have changed

	mu    sync.Mutex
	waits *hooks // of all plans that there ever were, for runs that still go on
}

// New returns a starter without flows. The host may be nil, as it needs Fire before it is
// there itself: Serve then gives it.
func New(h host.Host, o Options) *Starter {
	if o.Clock == nil {
		o.Clock = host.System{}
	}
	if o.Notes == nil {
		o.Notes = &forgetful{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Starter{Options: o, served: make(chan struct{}), set: make(chan struct{}), wake: make(chan struct{}, 1), waits: newHooks()}
	if h != nil {
		s.Serve(h)
	}
	return s
}

// Serve gives the starter its host, once.
func (s *Starter) Serve(h host.Host) {
	s.host = h
	close(s.served)
}

// start begins a run, as soon as there is a host.
func (s *Starter) start(ctx context.Context, p *plan.Plan, start host.Start) (run host.Run, fresh bool, err error) {
	if err := wait(ctx, s.served); err != nil {
		return run, false, err
	}
	run, fresh, err = s.host.Start(ctx, p, start)
	if reused := (*host.ReusedError)(nil); errors.As(err, &reused) {
		return run, false, nil // its inputs are others by now, but it is the same event
	}
	return run, fresh, err
}

func wait(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Starter) count(p *plan.Plan, t *plan.Trigger, v Verdict) {
	if s.Count != nil {
		s.Count(p.Name, t.Kind, v)
	}
}

// A table is what the plans of a project say about what starts them.
type table struct {
	hooks     *hooks
	byPath    map[string][]candidate
	bySender  map[string][]candidate // by phone number ID; "" has those for any
	schedules []host.Schedule
	loaded    time.Time
}

// A candidate is a trigger whose flow an event may start. Those of one flow stand
// together, in their order.
type candidate struct {
	plan    *plan.Plan
	trigger *plan.Trigger
}

// Set gives the starter other plans, in place of all that it had. Runs go on to be
// reached by the webhooks that the plans they follow wait for.
func (s *Starter) Set(plans []*plan.Plan) {
	t := &table{loaded: s.Clock.Now(), byPath: map[string][]candidate{}, bySender: map[string][]candidate{"": nil}, hooks: newHooks()}
	for _, p := range plans {
		for _, trigger := range p.Triggers {
			if trigger.Kind == "whatsapp_message" {
				t.bySender[trigger.SenderPhoneID] = nil
			}
		}
	}
	for _, p := range plans {
		for _, trigger := range p.Triggers {
			t.add(candidate{p, trigger})
		}
		t.addSchedules(p)
	}
	s.Keep(plans...)
	if s.table.Swap(t) == nil {
		close(s.set)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (t *table) add(c candidate) {
	switch c.trigger.Kind {
	case "webhook":
		t.byPath[c.trigger.Path] = append(t.byPath[c.trigger.Path], c)
		add(t.hooks.exact, c.trigger.Path, c.trigger.Connection, c.trigger.Open)
	case "whatsapp_message":
		for sender := range t.bySender {
			if c.trigger.SenderPhoneID == "" || c.trigger.SenderPhoneID == sender {
				t.bySender[sender] = append(t.bySender[sender], c)
			}
		}
	}
}

// A forgetful remembers until the process ends.
type forgetful struct {
	mu    sync.Mutex
	notes map[string]json.RawMessage
}

func (f *forgetful) Note(_ context.Context, _, name string, body json.RawMessage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notes == nil {
		f.notes = map[string]json.RawMessage{}
	}
	f.notes[name] = body
	if body == nil {
		delete(f.notes, name)
	}
	return nil
}

func (f *forgetful) Notes(context.Context, string) (map[string]json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.notes), nil
}
