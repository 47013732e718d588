// Package local runs plans in this process, over a journal.
//
// It performs what package machine decides: it records that a call is taken up before
// it makes it, and its outcome after, so that a run that was interrupted goes on with
// Resume without doing anything twice. The same host runs flows for the daemon, for
// `facteur run` and, with a virtual clock and recorded answers, for flow tests.
package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// Options are what a host works with. Journal and Do are required.
type Options struct {
	Journal journal.Journal
	Do      call.Do
	Clock   host.Clock // nil: host.System; with a *host.Virtual a run is the same every time
	// Receipts tells whether receipts can reach the host.
	Receipts bool
	// Seal and Open encrypt records at rest. nil: they are stored as they are.
	Seal, Open func(plain, context []byte) ([]byte, error)
	// OnStep is told of each step that ended, and of the values that are masked wherever
	// people see the step. It must be quick. nil: nobody is told.
	OnStep func(run string, step *machine.Step, sensitive []any)
	// Panicked is told of a Do that panicked. The stack and the value go nowhere else:
	// they may hold what people wrote. nil: nobody is told.
	Panicked func(c call.Call, value any, stack []byte)
	// Feed are events and receipts that come by themselves; for tests.
	Feed []Feed
	// Crash is asked at each point of a call whether the host dies there; step is the
	// step's path. For tests.
	Crash func(p Point, step string, attempt int) bool
	// Hard ends calls that are under way when it ends. nil: never.
	Hard context.Context
}

// A Host runs plans in this process.
type Host struct {
	opts    Options
	virtual *host.Virtual // nil: time is real
	limits  limits

	mu       sync.Mutex
	events   []host.Event   // that came, for runs that ask for past ones
	receipts []call.Receipt // for runs that are not here
	runs     map[string]*runner
	feed     []feedState
}

// New returns a host.
func New(o Options) *Host {
	if o.Clock == nil {
		o.Clock = host.System{}
	}
	if o.Hard == nil {
		o.Hard = context.Background()
	}
	virtual, _ := o.Clock.(*host.Virtual)
	h := &Host{opts: o, virtual: virtual, runs: map[string]*runner{}}
	for _, f := range o.Feed {
		h.feed = append(h.feed, feedState{Feed: f})
	}
	return h
}

// Start is what a run begins with.
type Start struct {
	Inputs map[string]any // coerced by the plan's Inputs
	ID     string         // "": a random one
	Seed   []byte         // nil: a random one
	Random []int64        // see machine.Start
}

// ErrCrashed is what Run and Resume return when Options.Crash said so.
var ErrCrashed = errors.New("the host crashed, as the test wants")

// ErrUnderWay says that this host carries the run already.
var ErrUnderWay = errors.New("it is under way already")

// Run starts a run and carries it to its end. When ctx ends the run is cancelled, and
// ends as soon as its calls have. A result that comes with an error tells how far the
// run came.
func (h *Host) Run(ctx context.Context, p *plan.Plan, s Start) (*host.Result, error) {
	if s.ID == "" {
		s.ID = strings.ToLower(rand.Text())
	}
	if s.Seed == nil {
		s.Seed = make([]byte, 32)
		_, _ = rand.Read(s.Seed) // never fails
	}
	r := h.newRunner(s.ID)
	if err := h.enter(r); err != nil {
		return nil, err
	}
	defer h.leave(r)
	start := machine.Start{Run: s.ID, At: r.now(), Inputs: s.Inputs, Seed: s.Seed, Receipts: h.opts.Receipts, Random: s.Random}
	first, err := h.encodeStart(start)
	if err != nil {
		return nil, err
	}
	head := journal.Run{
		ID: s.ID, Flow: p.Name, Digest: p.Digest, Version: machine.Version, Sources: p.Texts,
		Status: string(machine.Running), Started: start.At,
	}
	if err := h.opts.Journal.Create(ctx, head, journal.Change{Records: []journal.Record{first}}); err != nil {
		return nil, fmt.Errorf("store the run: %w", err)
	}
	r.m = machine.New(p, start)
	return r.carry(ctx, p, start)
}

// Resume rebuilds a run from the journal and carries it to its end. The plan must be
// the one that the run started with. The result is as that of Run; steps that had ended
// before are not told again.
func (h *Host) Resume(ctx context.Context, p *plan.Plan, id string) (*host.Result, error) {
	r := h.newRunner(id)
	if err := h.enter(r); err != nil {
		return nil, err
	}
	defer h.leave(r)
	head, records, err := h.opts.Journal.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	start, err := h.restart(p, head, records)
	if err != nil {
		return nil, err
	}
	r.m = machine.New(p, start)
	for _, record := range records[1:] {
		event, err := h.decode(id, record)
		if err != nil {
			return nil, err
		}
		if err := r.m.Apply(event); err != nil {
			return nil, err
		}
	}
	r.m.Ended()
	return r.carry(ctx, p, start)
}

// restart returns how a stored run began, if this host can go on with it.
func (h *Host) restart(p *plan.Plan, head journal.Run, records []journal.Record) (machine.Start, error) {
	switch {
	case head.Digest != p.Digest:
		return machine.Start{}, &machine.MismatchError{Reason: "the flow has changed since the run started"}
	case head.Version != machine.Version:
		return machine.Start{}, &machine.MismatchError{Reason: fmt.Sprintf("version %d of the machine started it, this is version %d", head.Version, machine.Version)}
	case len(records) == 0:
		return machine.Start{}, &machine.MismatchError{Reason: "its journal is empty"}
	}
	start, err := h.decodeStart(head.ID, records[0])
	if err != nil {
		return start, err
	}
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	return start, nil
}

func (h *Host) newRunner(id string) *runner {
	return &runner{h: h, id: id, virtual: h.virtual, wake: make(chan struct{}, 1)}
}

// carry brings the run to its end.
func (r *runner) carry(ctx context.Context, p *plan.Plan, start machine.Start) (*host.Result, error) {
	r.started = start.At
	err := r.loop(ctx)
	if err != nil && !errors.Is(err, ErrCrashed) {
		r.salvage()
	}
	m := r.m
	result := &host.Result{
		Run: r.id, Flow: p.Name, Result: machine.Result{Status: machine.Running}, Started: start.At, Ended: m.Now(),
		Steps: m.Steps(), Branches: m.Branches(), Sensitive: m.Sensitive(),
	}
	if end := m.Result(); end != nil {
		result.Result = *end
	}
	return result, cmp.Or(err, r.broken)
}

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
