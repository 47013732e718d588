package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// Start implements host.Host. A run that finds a free worker makes its first calls before
// Start returns: what they take up is stored together with the run.
func (h *Host) Start(ctx context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	if err := h.failed(); err != nil {
		return host.Run{}, false, err
	}
	now := h.now()
	id, inputs := newID(now), []byte(nil)
	if s.Key != "" { // another start may have it
		id = host.KeyedID(h.opts.Hash, p.Name, s.Key)
		var err error
		if inputs, err = h.printInputs(s); err != nil {
			return host.Run{}, false, err
		}
	}
	locked, err := h.lockKey(p, s.Inputs)
	if err != nil {
		return host.Run{}, false, err
	}
	start := h.newStart(id, now, s.Inputs)
	kept := h.plans.Keep(p)
	w, r, err := h.place(ctx, id, p, locked)
	if err != nil {
		return host.Run{}, false, err
	}
	if w == nil {
		run, err := h.first(ctx, id, s.Key, inputs)
		return run, false, err
	}
	head := newHead(p, start)
	head.By, head.Inputs, head.Lock = s.By, inputs, locked
	if r != nil {
		err = r.begin(kept, start, head)
	} else {
		err = h.store(w, p, start, head)
	}
	h.settle(w, r, err)
	if _, exists := errors.AsType[*journal.ExistsError](err); exists {
		run, err := h.first(ctx, id, s.Key, inputs)
		return run, false, err
	}
	if err != nil {
		return host.Run{}, false, err
	}
	return runOfHead(head), true, nil
}

func (h *Host) newStart(id string, now time.Time, inputs map[string]any) *machine.Start {
	return &machine.Start{Run: id, At: now, Inputs: inputs, Seed: host.NewSeed(), Receipts: h.opts.Receipts, Gaps: true}
}

// newHead is the head of a run that begins.
func newHead(p *plan.Plan, start *machine.Start) *journal.Run {
	return &journal.Run{
		ID: start.Run, Flow: p.Name, Digest: p.Digest, Version: machine.Version, Sources: p.Texts, Status: running, Started: start.At,
	}
}

// place makes room for a new run, and gives it a runner if a worker is free. Nobody else
// touches it before settle. Without w, a run of that id is here already.
func (h *Host) place(ctx context.Context, id string, p *plan.Plan, locked string) (w *ward, r *runner, err error) {
	for {
		h.mu.Lock()
		if h.stopping || !h.serves {
			h.mu.Unlock()
			return nil, nil, &host.StoppingError{}
		}
		other := h.wards[id]
		if other == nil {
			break
		}
		if !other.busy {
			h.mu.Unlock()
			return nil, nil, nil
		}
		if err := h.waitFor(ctx, other); err != nil {
			return nil, nil, err
		}
	}
	defer h.mu.Unlock()
	w = &ward{id: id, flow: p.Name, state: inLine, busy: true}
	h.wards[id] = w
	if locked != "" {
		w.lock = h.lockFor(locked, p.Concurrency.Limit)
		if w.lock.full() {
			if p.Concurrency.Reject {
				w.lock, w.state = nil, over
			} else {
				w.state = queued
				w.lock.coming++
			}
			return w, nil, nil
		}
		w.lock.holders++
	}
	if h.free > 0 && h.lanes.waiting == 0 {
		h.free--
		r = h.carry(w)
	}
	return w, r, nil
}

// begin stores a new run with what it takes up first, and makes those calls. Once it is
// stored, the run has begun, and calls may be under way: what stops it from there on, but
// for the journal, is the run's own affair, which work deals with.
func (r *runner) begin(p *host.Planned, start *machine.Start, head *journal.Run) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			err = errFault
		}
		switch _, unstored := errors.AsType[*storeError](err); {
		case err == nil || unstored || errors.Is(err, ErrCrashed):
		case r.m != nil && !r.fresh:
			r.halted, err = err, nil
		default:
			err = fmt.Errorf("start the run: %w", err)
		}
	}()
	r.planned = p
	if err := r.create(p.Plan, start, head); err != nil {
		return err
	}
	if err := r.perform(); err != nil {
		return err
	}
	if r.fresh {
		if err := r.flush(true); err != nil {
			return err
		}
	}
	r.tell()
	return nil
}

// store stores a new run that waits: for a worker, for others of its flow, or for nothing.
func (h *Host) store(w *ward, p *plan.Plan, start *machine.Start, head *journal.Run) error {
	first, err := h.encodeStart(start)
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{first}}
	switch w.state {
	case queued:
		head.Status = string(host.Queued)
		c.Waits = &journal.Waits{Note: parkNote{Queued: true, Limit: p.Concurrency.Limit}.encode()}
	case over:
		head.Status, head.Ended = string(host.Rejected), start.At
	}
	if err := h.opts.Journal.Create(context.Background(), *head, c); err != nil {
		return &storeError{fmt.Errorf("store the run: %w", err)}
	}
	return nil
}

// settle makes a new run one like others, or takes it back.
func (h *Host) settle(w *ward, r *runner, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.leave()
	if err != nil {
		var exists *journal.ExistsError
		var store *storeError
		if !errors.As(err, &exists) && (errors.As(err, &store) || errors.Is(err, ErrCrashed)) {
			h.fail(err)
		}
		if w.state == queued {
			w.lock.coming--
		}
		h.forget(w)
		if r != nil {
			h.idle()
		}
		return
	}
	switch {
	case r != nil:
		// A run that waits for its calls alone needs nobody now.
		if waits := len(r.made) > 0 && len(r.asked) == 0 && r.halted == nil; waits {
			if gone, _ := r.letGo(); gone {
				return
			}
		}
		h.launch(r.work)
	case w.state == queued:
		h.join(w)
	case w.state == over:
		delete(h.wards, w.id)
	default:
		h.lanes.push(w)
		h.dispatch()
	}
}

// First implements host.Host.
func (h *Host) First(ctx context.Context, flow, key string, inputs map[string]any) (host.Run, error) {
	id := host.KeyedID(h.opts.Hash, flow, key)
	prints, err := h.printInputs(host.Start{Inputs: inputs})
	if err != nil {
		return host.Run{}, err
	}
	w, err := h.claim(ctx, id) // it waits for a start that is being stored
	if err != nil {
		return host.Run{}, err
	}
	if w != nil {
		h.mu.Lock()
		h.release(w)
		h.mu.Unlock()
	}
	run, err := h.first(ctx, id, key, prints)
	return run, notFound(err)
}

// first returns the run that a key began before.
func (h *Host) first(ctx context.Context, id, key string, inputs []byte) (host.Run, error) {
	head, _, err := h.load(ctx, id)
	if err != nil {
		return host.Run{}, err
	}
	if !alike(head.Inputs, inputs) {
		return host.Run{}, &host.ReusedError{Run: id, Key: key}
	}
	return runOfHead(&head), nil
}

// printInputs returns the prints of a start, one after the other.
func (h *Host) printInputs(s host.Start) ([]byte, error) {
	prints, err := s.Prints(h.opts.Hash)
	return slices.Concat(prints...), err
}

// alike tells whether two starts have a print in common.
func alike(a, b []byte) bool {
	for one := range slices.Chunk(a, host.PrintSize) {
		for other := range slices.Chunk(b, host.PrintSize) {
			if bytes.Equal(one, other) {
				return true
			}
		}
	}
	return false
}

func runOfHead(head *journal.Run) host.Run {
	return host.Run{
		ID: head.ID, Flow: head.Flow, Digest: head.Digest, Status: machine.Status(head.Status), By: head.By,
		Started: head.Started, Ended: head.Ended, Unknown: head.Unknown,
	}
}
