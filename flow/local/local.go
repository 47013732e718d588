// Package local runs plans in this process, over a journal.
//
// It performs what package machine decides: it records that a call is taken up before
// it makes it, and its outcome after, so that a run that was interrupted goes on with
// Resume without doing anything twice. The same host runs flows for the daemon, for
// `facteur run` and, with a virtual clock and recorded answers, for flow tests.
package local

import (
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
	// Feed are events and receipts that come by themselves; for tests.
	Feed []Feed
	// Crash is asked at each point of a call whether the host dies there; for tests.
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
	events   []host.Event            // that came, for runs that ask for past ones
	receipts map[string]call.Receipt // that came, by id
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
	h := &Host{opts: o, virtual: virtual, receipts: map[string]call.Receipt{}, runs: map[string]*runner{}}
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

// Run starts a run and carries it to its end. When ctx ends the run is cancelled, and
// ends as soon as its calls have. A result that comes with an error tells how far the
// run came.
func (h *Host) Run(ctx context.Context, p *plan.Plan, s Start) (*host.Result, error) {
	id := s.ID
	if id == "" {
		id = strings.ToLower(rand.Text())
	}
	seed := s.Seed
	if seed == nil {
		seed = make([]byte, 32)
		_, _ = rand.Read(seed) // never fails
	}
	start := machine.Start{Run: id, At: h.opts.Clock.Now(), Inputs: s.Inputs, Seed: seed, Receipts: h.opts.Receipts, Random: s.Random}
	first, err := h.encodeStart(start)
	if err != nil {
		return nil, err
	}
	sources := make(map[string]string, len(p.Sources))
	for name, src := range p.Sources {
		sources[name] = string(src.Text)
	}
	head := journal.Run{
		ID: id, Flow: p.Name, Digest: p.Digest, Version: machine.Version, Sources: sources,
		Status: string(machine.Running), Started: start.At,
	}
	if err := h.opts.Journal.Create(ctx, head, first); err != nil {
		return nil, fmt.Errorf("store the run: %w", err)
	}
	return h.carry(ctx, p, machine.New(p, start), start)
}

// Resume rebuilds a run from the journal and carries it to its end. The plan must be
// the one that the run started with. The result is as that of Run.
func (h *Host) Resume(ctx context.Context, p *plan.Plan, id string) (*host.Result, error) {
	head, records, err := h.opts.Journal.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if head.Digest != p.Digest {
		return nil, &machine.MismatchError{Reason: "the flow has changed since the run started"}
	}
	if head.Version != machine.Version {
		return nil, &machine.MismatchError{Reason: fmt.Sprintf("version %d of the machine started it, this is version %d", head.Version, machine.Version)}
	}
	if len(records) == 0 {
		return nil, &machine.MismatchError{Reason: "its journal is empty"}
	}
	start, err := h.decodeStart(id, records[0])
	if err != nil {
		return nil, err
	}
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	m := machine.New(p, start)
	for _, record := range records[1:] {
		event, err := h.decode(id, record)
		if err != nil {
			return nil, err
		}
		if err := m.Apply(event); err != nil {
			return nil, err
		}
	}
	return h.carry(ctx, p, m, start)
}

func (h *Host) carry(ctx context.Context, p *plan.Plan, m *machine.Machine, start machine.Start) (*host.Result, error) {
	r := &runner{
		h: h, m: m, id: start.Run, started: start.At,
		virtual: h.virtual, wake: make(chan struct{}, 1), cancels: map[string]context.CancelFunc{}, subs: map[int]machine.Await{},
	}
	h.mu.Lock()
	h.runs[r.id] = r
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.runs, r.id)
		h.mu.Unlock()
	}()
	err := r.loop(ctx)
	result := &host.Result{
		Run: r.id, Flow: p.Name, Result: machine.Result{Status: machine.Running}, Started: start.At, Ended: m.Now(),
		Steps: m.Steps(), Branches: m.Branches(), Sensitive: m.Sensitive(),
	}
	if end := m.Result(); end != nil {
		result.Result = *end
	}
	return result, err
}

// Deliver brings an event to the runs that wait for it, now or later.
func (h *Host) Deliver(e host.Event) {
	if e.At.IsZero() {
		e.At = h.opts.Clock.Now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	for _, r := range h.runs {
		r.offer(e)
	}
}

// Receive brings a receipt to the run that made the call.
func (h *Host) Receive(receipt call.Receipt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		if strings.HasPrefix(receipt.Key, "f1."+r.id+".") {
			r.post(machine.Received{At: h.opts.Clock.Now(), Receipt: receipt})
		}
	}
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
	After string        // a step's id: counts from its latest call …
	In    time.Duration // … this long
	Event *host.Event
	// Receipt is for the latest call of Step.
	Receipt *call.Receipt
	Step    string
}
