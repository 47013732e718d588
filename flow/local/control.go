package local

import (
	"context"
	"errors"
	"fmt"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// Cancel implements host.Host.
func (h *Host) Cancel(ctx context.Context, id, reason string) error {
	decide := func(m *machine.Machine) (machine.Event, error) {
		if m.Result() != nil {
			return nil, hasEnded(id, string(m.Result().Status))
		}
		return machine.CancelRequested{At: h.now(), Reason: reason}, nil
	}
	return notFound(h.change(ctx, id, decide, func(run *activeRun) error { return h.cancelClaimed(ctx, run, reason) }))
}

// cancelClaimed cancels a run that the caller has claimed, and ends the claim.
func (h *Host) cancelClaimed(ctx context.Context, run *activeRun, reason string) error {
	defer h.release(run)
	var records []journal.Record
	if run.state != stateParked && run.state != stateReady { // those go on, whatever they have done so far
		head, all, err := h.load(ctx, run.id)
		if err != nil {
			return err
		}
		if run.state == stateEnded {
			return hasEnded(run.id, head.Status)
		}
		records = all
	}
	record, err := h.encode(run.id, machine.CancelRequested{At: h.now(), Reason: reason})
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{record}, Status: statusRunning, Waits: &journal.Waits{}}
	queued, ends := run.state == stateQueued || run.wasQueued, false // ends: it has nothing left to do
	switch {
	case queued:
		ends = len(records) == 1 // a run that was queued for a retry still runs its finally steps
	case run.state == stateStuck: // its calls may have happened, and no replay will tell
		ends, c.Unknown = true, host.UnresolvedKeys(h.events(run.id, records))
	}
	if ends {
		c.Status, c.Ended = string(machine.Cancelled), h.now()
	}
	if err := h.opts.Journal.Write(ctx, run.id, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store that the run is cancelled: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case ends:
		h.releaseLock(run)
		run.state = stateEnded
		if len(c.Unknown) > 0 {
			h.unknown[run.id] = true
		}
	case run.state != stateReady:
		if queued {
			h.releaseLock(run)
			run.wasQueued = false
		}
		run.state = stateParked
		h.enqueue(run)
	}
	return nil
}

func hasEnded(run, status string) error {
	return &host.StateError{Run: run, Reason: "it has ended: " + status}
}

// notFound turns a *journal.NotFoundError into a *host.NotFoundError.
func notFound(err error) error {
	if missing, ok := errors.AsType[*journal.NotFoundError](err); ok {
		return &host.NotFoundError{What: "run " + missing.Run}
	}
	return err
}

// Retry implements host.Host.
func (h *Host) Retry(ctx context.Context, run string, resend bool) error {
	return notFound(h.applyEvent(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Retry(m, run, resend, h.now())
	}))
}

// Settle implements host.Host.
func (h *Host) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	err := h.applyEvent(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Settle(m, run, step, s, h.now())
	})
	if _, unreadable := errors.AsType[*machine.MismatchError](err); unreadable {
		err = h.settleUnreadable(ctx, run, step, s)
	}
	return notFound(err)
}

// Release implements host.Host. It also tries a stuck run again.
func (h *Host) Release(ctx context.Context, id string) error {
	run, err := h.claim(ctx, id)
	if err != nil {
		return err
	}
	notHeld := &host.StateError{Run: id, Reason: "it is not held"}
	if run == nil {
		return notHeld
	}
	defer h.release(run)
	if run.state != stateHeld && run.state != stateStuck {
		if _, _, err := h.load(ctx, id); err != nil {
			return notFound(err)
		}
		return notHeld
	}
	l := run.lock
	c := journal.Change{Status: statusRunning, Waits: &journal.Waits{}}
	if run.wasQueued {
		c.Status, c.Waits = string(host.Queued), queuedWaits(l.limit)
	}
	if err := h.opts.Journal.Write(ctx, id, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store that the run is released: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if run.wasQueued {
		run.wasQueued, run.state = false, stateQueued
		l.queue = append(l.queue, run) // Host.release begins it at the earliest
		return nil
	}
	run.state, run.reason = stateParked, ""
	h.enqueue(run)
	return nil
}
