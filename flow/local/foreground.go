package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A Foreground executes runs while their callers wait. It is safe for concurrent use.
type Foreground struct{ h *Host }

// New returns a Foreground.
func New(o Options) *Foreground { return &Foreground{newHost(o)} }

// Deliver delivers an event to the runs that wait for it, now or later.
func (f *Foreground) Deliver(ctx context.Context, e host.Event) error { return f.h.Deliver(ctx, e) }

// Receive passes receipts to the runs that made the calls, now or when they are resumed.
func (f *Foreground) Receive(receipts ...call.Receipt) {
	for _, receipt := range receipts {
		f.h.receive(receipt)
	}
}

// Start is the input of Run.
type Start struct {
	Inputs map[string]any // coerced by the plan's Inputs
	ID     string         // "": a random one
	Seed   []byte         // nil: a random one
	Random []int64        // see machine.Start
}

// ErrCrashed is the error of Run and Resume when Options.Crash asked for a crash.
var ErrCrashed = errors.New("the host crashed, as the test wants")

// ErrUnderWay says that this host executes the run already.
var ErrUnderWay = errors.New("it is under way already")

// Run starts a run and executes it to its end. When ctx ends the run is cancelled, and ends as
// soon as its calls have. With an error, the result tells how far the run came.
func (f *Foreground) Run(ctx context.Context, p *plan.Plan, s Start) (*host.Result, error) {
	h := f.h
	r, err := h.register(cmp.Or(s.ID, newID(h.now())), p.Name)
	if err != nil {
		return nil, err
	}
	defer h.unregister(r)
	start := &machine.Start{
		Run: r.run.id, At: r.now(), Inputs: s.Inputs, Seed: s.Seed, Receipts: h.opts.Receipts, Random: s.Random,
	}
	if start.Seed == nil {
		start.Seed = host.NewSeed()
	}
	if err := r.initRun(p, start, newHead(p, start)); err != nil {
		return nil, err
	}
	if err := r.flush(true); err != nil {
		return nil, err
	}
	return r.runToEnd(ctx)
}

// Resume rebuilds a run from the journal and executes it to its end. p must be the plan that it
// was started with. The result is as Run's; steps that ended before are not reported again.
func (f *Foreground) Resume(ctx context.Context, p *plan.Plan, id string) (*host.Result, error) {
	h := f.h
	r, err := h.register(id, p.Name)
	if err != nil {
		return nil, err
	}
	defer h.unregister(r)
	head, records, err := h.opts.Journal.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.replay(p, head, records); err != nil {
		return nil, err
	}
	return r.runToEnd(ctx)
}

// register makes a run active, so that nobody else executes it, and gives it the receipts that
// came before.
func (h *Host) register(id, flow string) (*runner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs[id] != nil {
		return nil, fmt.Errorf("run %s: %w", id, ErrUnderWay)
	}
	run := &activeRun{id: id, flow: flow}
	h.runs[id] = run
	r := h.attachRunner(run)
	r.foreground, r.inbox.wake = true, make(chan struct{}, 1)
	rest := h.receipts[:0]
	for _, receipt := range h.receipts {
		if call.RunOf(receipt.Key) == id {
			r.post(message{event: machine.Received{At: r.now(), Receipt: receipt}})
		} else {
			rest = append(rest, receipt)
		}
	}
	clear(h.receipts[len(rest):])
	h.receipts = rest
	return r, nil
}

func (h *Host) unregister(r *runner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(r.run)
}

// runToEnd executes a run to its end.
func (r *runner) runToEnd(ctx context.Context) (*host.Result, error) {
	defer r.drainCalls()
	r.arm()
	_, err := r.loop(ctx)
	if err != nil && !errors.Is(err, ErrCrashed) {
		r.salvage()
	}
	result := r.result()
	result.Branches = r.m.Branches()
	return result, cmp.Or(err, r.stepFault)
}

// newID returns a run id that begins with the time: runs that start together are stored
// together in the indexes of the journal and the ledger.
func newID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16)
	rand.Read(id[6:])
	return ids.EncodeToString(id[:])
}

// ids is a base32 encoding that keeps the order.
var ids = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
