package local

import (
	"context"
	"errors"
	"fmt"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

const statusRunning = string(machine.Running)

// applyEvent durably applies an event to a run, which must be rebuilt for that: by its runner
// if it has one, otherwise by writing its journal here. decide returns the event, or nil when
// there is none after all.
func (h *Host) applyEvent(ctx context.Context, id string, decide func(m *machine.Machine) (machine.Event, error)) error {
	return h.change(ctx, id, decide, func(run *activeRun) error { return h.applyStored(ctx, run, decide) })
}

// change has the runner of a run apply an event, or, if it has none, calls claimed, which ends the
// claim.
func (h *Host) change(ctx context.Context, id string, decide func(m *machine.Machine) (machine.Event, error), claimed func(*activeRun) error) error {
	for {
		run, err := h.claim(ctx, id)
		if err != nil {
			return err
		}
		if run == nil {
			err = h.applyByRunner(ctx, id, decide)
		} else {
			err = claimed(run)
		}
		if !errors.Is(err, errDetached) {
			return err
		}
	}
}

// claim gives the caller exclusive use of a run's journal until release. A run that has a
// runner cannot be claimed: then the result is nil.
func (h *Host) claim(ctx context.Context, id string) (run *activeRun, err error) {
	for {
		if err := h.failed(); err != nil {
			return nil, err
		}
		h.mu.Lock()
		run := h.runs[id]
		switch {
		case run == nil:
			run = &activeRun{id: id, state: stateEnded}
			h.runs[id] = run
		case run.claimed:
			if err := h.awaitRelease(ctx, run); err != nil {
				return nil, err
			}
			continue
		case run.state == stateRunning:
			h.mu.Unlock()
			return nil, nil
		}
		run.claimed = true
		h.mu.Unlock()
		return run, nil
	}
}

// release ends a claim, and does what had to wait for that.
func (h *Host) release(run *activeRun) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run.unclaim()
	wakePending := run.wakePending
	run.wakePending = false
	switch {
	case run.state == stateEnded:
		run.complete(nil, errDetached)
		delete(h.runs, run.id)
	case run.state == stateReady: // dispatch skipped it
		h.runQueue.push(run.flow, run)
	case run.state == stateQueued:
		h.admitNext(run.lock)
	case wakePending:
		h.enqueue(run)
	}
	h.dispatch()
}

// applyByRunner has the runner of a run apply an event.
func (h *Host) applyByRunner(ctx context.Context, id string, decide func(m *machine.Machine) (machine.Event, error)) error {
	reply := make(chan error, 1)
	h.mu.Lock()
	run := h.runs[id]
	if run == nil || run.state != stateRunning {
		h.mu.Unlock()
		return errDetached
	}
	run.runner.post(message{decide: decide, reply: reply})
	h.mu.Unlock()
	if err := h.awaitReply(ctx, reply); err != nil {
		return err
	}
	return h.barrier(ctx)
}

// applyStored rebuilds a claimed run, applies an event, stores it, and ends the claim.
func (h *Host) applyStored(ctx context.Context, run *activeRun, decide func(m *machine.Machine) (machine.Event, error)) error {
	defer h.release(run)
	head, m, err := h.rebuild(ctx, run.id)
	if err != nil {
		return err
	}
	before := m.Unknown()
	event, err := decide(m)
	if err != nil || event == nil {
		return err
	}
	events := []machine.Event{event}
	again, retried := event.(machine.Retried)
	if retried { // a receipt may tell by now that a call to be retried did happen
		missed, err := h.opts.Past.ReadUnapplied(ctx, h.since(&head), m, again.At)
		if err != nil {
			return err
		}
		events = append(missed, event)
	}
	c := journal.Change{}
	for _, e := range events {
		record, err := h.encode(run.id, e)
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
		return h.reopen(ctx, run, head, c)
	case run.state == stateParked:
		c.Status, c.Waits, wakes = statusRunning, &journal.Waits{}, true
	}
	if err := h.opts.Journal.Write(ctx, run.id, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store what happened: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if wakes {
		h.enqueue(run) // takes effect at release
	}
	if run.state == stateEnded && len(m.Unknown()) == 0 {
		delete(h.unknown, run.id)
	}
	return nil
}

// reopen makes an ended run go on, or queues it for its flowLock.
func (h *Host) reopen(ctx context.Context, run *activeRun, head journal.Run, c journal.Change) error {
	p, err := h.plan(head)
	if err != nil {
		return err
	}
	h.mu.Lock()
	run.flow = head.Flow
	c.Status = statusRunning
	queued, rejected := false, false
	admits := head.Lock != "" && p.Concurrency != nil && run.lock == nil // it has it if no worker has seen its end yet
	if admits {
		l := h.lockFor(head.Lock, 0)
		if l.limit == 0 { // no run of this key was started since the host was opened
			l.limit = p.Concurrency.Limit
		}
		queued, rejected = l.admit(run, p.Concurrency.Reject)
	}
	h.mu.Unlock()
	if rejected {
		return host.ConcurrencyReached(run.id)
	}
	if queued {
		c.Status, c.Waits = string(host.Queued), queuedWaits(run.lock.limit)
	}
	if err := h.opts.Journal.Write(ctx, run.id, true, c); err != nil {
		h.mu.Lock()
		if l := run.lock; admits {
			if run.lock = nil; queued {
				l.unstored--
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
	if queued {
		run.state = stateQueued
		h.enqueueLocked(run) // release begins it at the earliest
		return nil
	}
	run.state = stateParked
	h.enqueue(run)
	return nil
}
