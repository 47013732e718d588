package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

const running = string(machine.Running)

// errand tells a run something that it has to be rebuilt for, wherever it stands: its
// runner is asked, or its journal is written here. give returns the event, or nil when
// there is none after all. When errand returns nil, the event is durable.
func (h *Host) errand(ctx context.Context, id string, give func(m *machine.Machine) (machine.Event, error)) error {
	for {
		w, err := h.claim(ctx, id)
		if err != nil {
			return err
		}
		if w == nil {
			err = h.ask(ctx, id, give)
		} else {
			err = h.visit(ctx, w, give)
		}
		if !errors.Is(err, errGone) {
			return err
		}
	}
}

// claim keeps everybody else from the journal of a run, until release. A run that is
// carried cannot be claimed: there, w is nil.
func (h *Host) claim(ctx context.Context, id string) (w *ward, err error) {
	for {
		if err := h.failed(); err != nil {
			return nil, err
		}
		h.mu.Lock()
		w := h.wards[id]
		switch {
		case w == nil:
			w = &ward{id: id, state: over}
			h.wards[id] = w
		case w.busy:
			if err := h.waitFor(ctx, w); err != nil {
				return nil, err
			}
			continue
		case w.state == carried:
			h.mu.Unlock()
			return nil, nil
		}
		w.busy = true
		h.mu.Unlock()
		return w, nil
	}
}

// release ends a claim. The host's lock is held.
func (h *Host) release(w *ward) {
	w.leave()
	due := w.due
	w.due = false
	switch {
	case w.state == over:
		w.tell(nil, errGone)
		delete(h.wards, w.id)
	case w.state == inLine: // it was passed over
		h.lanes.push(w)
	case w.state == queued:
		h.admitNext(w.lock)
	case due:
		h.enqueue(w)
	}
	h.dispatch()
}

// ask has the runner of a run apply an event.
func (h *Host) ask(ctx context.Context, id string, give func(m *machine.Machine) (machine.Event, error)) error {
	told := make(chan error, 1)
	h.mu.Lock()
	w := h.wards[id]
	if w == nil || w.state != carried {
		h.mu.Unlock()
		return errGone
	}
	w.runner.post(item{make: give, told: told})
	h.mu.Unlock()
	if err := h.told(ctx, told); err != nil {
		return err
	}
	return h.barrier(ctx)
}

// visit rebuilds a run that is claimed, applies an event, and stores it.
func (h *Host) visit(ctx context.Context, w *ward, give func(m *machine.Machine) (machine.Event, error)) error {
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.release(w)
	}()
	head, m, err := h.rebuilt(ctx, w.id)
	if err != nil {
		return err
	}
	before := m.Unknown()
	event, err := give(m)
	if err != nil || event == nil {
		return err
	}
	events := []machine.Event{event}
	again, retried := event.(machine.Retried)
	if retried { // not to make again what, as is known by now, happened
		news, err := h.opts.Past.Overdue(ctx, h.since(&head), m, again.At)
		if err != nil {
			return err
		}
		events = append(news, event)
	}
	c := journal.Change{}
	for _, e := range events {
		record, err := h.encode(w.id, e)
		if err != nil {
			return err
		}
		if err := m.Apply(e); err != nil {
			return err
		}
		c.Records = append(c.Records, record)
	}
	c.Unknown, c.Settled = difference(m.Unknown(), before), difference(before, m.Unknown())
	wakes := false
	switch {
	case retried:
		return h.reopen(ctx, w, head, c)
	case w.state == parked:
		c.Status, c.Waits, wakes = running, &journal.Waits{}, true
	}
	if err := h.opts.Journal.Write(ctx, w.id, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store what happened: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if wakes {
		h.enqueue(w) // when it is released
	}
	if w.state == over && len(m.Unknown()) == 0 {
		delete(h.unknown, w.id)
	}
	return nil
}

// reopen makes a run that has ended one that goes on.
func (h *Host) reopen(ctx context.Context, w *ward, head journal.Run, c journal.Change) error {
	p, err := h.plan(head)
	if err != nil {
		return err
	}
	h.mu.Lock()
	w.flow = head.Flow
	c.Status = running
	waits := false
	if head.Lock != "" && p.Concurrency != nil {
		w.lock = h.lockFor(head.Lock, 0)
		if w.lock.limit == 0 { // nobody has started one since the host was opened
			w.lock.limit = p.Concurrency.Limit
		}
		switch waits = w.lock.full(); {
		case waits && p.Concurrency.Reject:
			w.lock = nil
			h.mu.Unlock()
			return host.Crowded(w.id)
		case waits:
			w.lock.coming++
		default:
			w.lock.holders++
		}
	}
	h.mu.Unlock()
	if waits {
		c.Status, c.Waits = string(host.Queued), &journal.Waits{Note: parkNote{Queued: true, Limit: w.lock.limit}.encode()}
	}
	if err := h.opts.Journal.Write(ctx, w.id, true, c); err != nil {
		h.mu.Lock()
		if l := w.lock; l != nil {
			if w.lock = nil; waits {
				l.coming--
			} else {
				l.holders--
			}
			h.admitNext(l)
		}
		h.mu.Unlock()
		return h.check(ctx, fmt.Errorf("store that the run goes on: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if waits {
		w.state = queued
		h.join(w) // it begins when it is released, at the earliest
		return nil
	}
	w.state = parked
	h.enqueue(w)
	return nil
}

// difference is what is in a and not in b.
func difference(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}
