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
func (h *Host) Cancel(ctx context.Context, run, reason string) error {
	for {
		w, err := h.claim(ctx, run)
		if err != nil {
			return err
		}
		if w == nil {
			err = h.ask(ctx, run, func(m *machine.Machine) (machine.Event, error) {
				if m.Result() != nil {
					return nil, hasEnded(run, string(m.Result().Status))
				}
				return machine.CancelRequested{At: h.now(), Reason: reason}, nil
			})
		} else {
			err = h.cancelAt(ctx, w, reason)
		}
		if !errors.Is(err, errGone) {
			return notFound(err)
		}
	}
}

// cancelAt cancels a run that is claimed.
func (h *Host) cancelAt(ctx context.Context, w *ward, reason string) error {
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.release(w)
	}()
	if w.state == over {
		head, _, err := h.load(ctx, w.id)
		if err != nil {
			return err
		}
		return hasEnded(w.id, head.Status)
	}
	record, err := h.encode(w.id, machine.CancelRequested{At: h.now(), Reason: reason})
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{record}, Status: running, Waits: &journal.Waits{}}
	queues := w.state == queued || w.queues
	never := queues || w.state == stuck // it does nothing any more
	if queues {
		_, records, err := h.load(ctx, w.id)
		if err != nil {
			return err
		}
		never = len(records) == 1 // but a retry has what it did before to tidy up
	}
	if never {
		c.Status, c.Ended = string(machine.Cancelled), h.now()
	}
	if w.state == stuck { // its calls may have happened, and nobody will find out by replay
		_, records, err := h.load(ctx, w.id)
		if err != nil {
			return err
		}
		c.Unknown = host.Unanswered(h.events(w.id, records))
	}
	if err := h.opts.Journal.Write(ctx, w.id, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store that the run is cancelled: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case never:
		h.unlock(w)
		w.state = over
		if len(c.Unknown) > 0 {
			h.unknown[w.id] = true
		}
	case w.state != inLine:
		if queues {
			h.unlock(w)
			w.queues = false
		}
		w.state = parked
		h.enqueue(w)
	}
	return nil
}

func hasEnded(run, status string) error {
	return &host.StateError{Run: run, Reason: "it has ended: " + status}
}

// notFound is an error in the words of host.Host.
func notFound(err error) error {
	var missing *journal.NotFoundError
	if errors.As(err, &missing) {
		return &host.NotFoundError{What: "run " + missing.Run}
	}
	return err
}

// Retry implements host.Host.
func (h *Host) Retry(ctx context.Context, run string, resend bool) error {
	return notFound(h.errand(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Retry(m, run, resend, h.now())
	}))
}

// Settle implements host.Host.
func (h *Host) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	err := h.errand(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Settle(m, run, step, s, h.now())
	})
	var mismatch *machine.MismatchError
	if errors.As(err, &mismatch) {
		err = h.settleUnread(ctx, run, step, s)
	}
	return notFound(err)
}

// Release implements host.Host. A run whose journal did not fit is tried again.
func (h *Host) Release(ctx context.Context, run string) error {
	w, err := h.claim(ctx, run)
	if err != nil {
		return err
	}
	notHeld := &host.StateError{Run: run, Reason: "it is not held"}
	if w == nil {
		return notHeld
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.release(w)
	}()
	if w.state != kept && w.state != stuck {
		if _, _, err := h.load(ctx, run); err != nil {
			return notFound(err)
		}
		return notHeld
	}
	l := w.lock
	c := journal.Change{Status: running, Waits: &journal.Waits{}}
	if w.queues {
		c.Status, c.Waits = string(host.Queued), &journal.Waits{Note: parkNote{Queued: true, Limit: l.limit}.encode()}
	}
	if err := h.opts.Journal.Write(ctx, run, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store that the run is released: %w", err))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.queues {
		w.queues, w.state = false, queued
		l.line = append(l.line, w) // it begins when it is released here, at the earliest
		return nil
	}
	w.state, w.reason = parked, ""
	h.enqueue(w)
	return nil
}
