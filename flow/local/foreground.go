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

// A Foreground carries runs for those who wait for them, each from Run to its end. It is
// safe for concurrent use.
type Foreground struct{ h *Host }

// New returns what carries runs in the foreground.
func New(o Options) *Foreground { return &Foreground{newHost(o)} }

// Deliver brings an event to the runs that wait for it, now or later.
func (f *Foreground) Deliver(ctx context.Context, e host.Event) error { return f.h.Deliver(ctx, e) }

// Receive brings receipts to the runs that made the calls, now or when they are resumed.
func (f *Foreground) Receive(receipts ...call.Receipt) {
	for _, receipt := range receipts {
		f.h.receive(receipt)
	}
}

// Start is what a run in the foreground begins with.
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
func (f *Foreground) Run(ctx context.Context, p *plan.Plan, s Start) (*host.Result, error) {
	h := f.h
	r, err := h.enter(cmp.Or(s.ID, newID(h.now())), p.Name)
	if err != nil {
		return nil, err
	}
	defer h.leave(r)
	start := &machine.Start{
		Run: r.id, At: r.now(), Inputs: s.Inputs, Seed: s.Seed, Receipts: h.opts.Receipts, Random: s.Random,
	}
	if start.Seed == nil {
		start.Seed = host.NewSeed()
	}
	if err := r.create(p, start, newHead(p, start)); err != nil {
		return nil, err
	}
	if err := r.flush(true); err != nil {
		return nil, err
	}
	return r.foreground(ctx)
}

// Resume rebuilds a run from the journal and carries it to its end. The plan must be
// the one that the run started with. The result is as that of Run; steps that had ended
// before are not told again.
func (f *Foreground) Resume(ctx context.Context, p *plan.Plan, id string) (*host.Result, error) {
	h := f.h
	r, err := h.enter(id, p.Name)
	if err != nil {
		return nil, err
	}
	defer h.leave(r)
	head, records, err := h.opts.Journal.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.replay(p, head, records); err != nil {
		return nil, err
	}
	return r.foreground(ctx)
}

// enter makes the run known, so that nobody else carries it, and gives it the receipts
// that came before.
func (h *Host) enter(id, flow string) (*runner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wards[id] != nil {
		return nil, fmt.Errorf("run %s: %w", id, ErrUnderWay)
	}
	w := &ward{id: id, flow: flow}
	h.wards[id] = w
	r := h.carry(w)
	r.stays, r.wake = true, make(chan struct{}, 1)
	rest := h.receipts[:0]
	for _, receipt := range h.receipts {
		if call.RunOf(receipt.Key) == id {
			r.post(item{event: machine.Received{At: r.now(), Receipt: receipt}})
		} else {
			rest = append(rest, receipt)
		}
	}
	clear(h.receipts[len(rest):])
	h.receipts = rest
	return r, nil
}

func (h *Host) leave(r *runner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(r.w)
}

// foreground brings the run to its end.
func (r *runner) foreground(ctx context.Context) (*host.Result, error) {
	defer r.abandon() // after the run's end there is nothing left to abandon
	r.arm()
	_, err := r.loop(ctx)
	if err != nil && !errors.Is(err, ErrCrashed) {
		r.salvage()
	}
	result := r.result()
	result.Branches = r.m.Branches()
	return result, cmp.Or(err, r.fault)
}

// newID names a run that begins now. What begins together is so stored together: the journal
// and the ledger look it up by its name.
func newID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16)
	rand.Read(id[6:])
	return ids.EncodeToString(id[:])
}

// ids keeps the order of what it encodes.
var ids = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
