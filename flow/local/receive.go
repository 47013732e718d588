package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// maxKept bounds the receipts for runs that are not here which a host that was not opened
// keeps: past it, the oldest are forgotten.
const maxKept = 10_000

// Receive implements host.Host.
func (h *Host) Receive(ctx context.Context, receipts ...call.Receipt) error {
	if err := h.failed(); err != nil {
		return err
	}
	wrote := false
	for _, receipt := range receipts {
		one, err := h.receiveOne(ctx, receipt)
		if err != nil {
			return err
		}
		wrote = wrote || one
	}
	if !wrote {
		return nil
	}
	return h.barrier(ctx)
}

// receiveOne brings one receipt to its run, and tells whether something was written,
// though not durably.
func (h *Host) receiveOne(ctx context.Context, receipt call.Receipt) (wrote bool, err error) {
	id := call.RunOf(receipt.Key)
	if id == "" {
		return false, nil
	}
	event := machine.Received{At: h.now(), Receipt: receipt}
	for {
		h.mu.Lock()
		w := h.wards[id]
		switch {
		case w == nil:
			late := h.unknown[id]
			h.mu.Unlock()
			if late {
				return false, h.correct(ctx, id, event)
			}
			return false, nil
		case w.busy:
			if err := h.waitFor(ctx, w); err != nil {
				return false, err
			}
		case w.state == carried:
			told := make(chan error, 1)
			w.runner.post(item{event: event, told: told})
			h.mu.Unlock()
			err := h.told(ctx, told)
			if errors.Is(err, errGone) {
				continue
			}
			return true, err
		default:
			defer h.mu.Unlock()
			return h.hand(w, event)
		}
	}
}

// receive brings a receipt in a host that was not opened: a run that is here has it when
// it goes on, another one when it is resumed.
func (h *Host) receive(receipt call.Receipt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.wards[call.RunOf(receipt.Key)]; w != nil && w.runner != nil {
		w.runner.post(item{event: machine.Received{At: h.now(), Receipt: receipt}})
		return
	}
	h.keep(receipt)
}

func (h *Host) keep(receipt call.Receipt) {
	if len(h.receipts) >= maxKept {
		h.receipts = slices.Delete(h.receipts, 0, maxKept/10) // not one by one, which costs each time
	}
	h.receipts = append(h.receipts, receipt)
}

// hand writes a receipt into the journal of a run that nobody carries, and wakes it. The
// host's lock is held.
func (h *Host) hand(w *ward, event machine.Received) (wrote bool, err error) {
	switch {
	case w.state == parked && !w.wants(event.Receipt.Key), w.state == queued && !h.unknown[w.id], w.state == stuck:
		return false, nil
	case w.state != parked && h.opts.Past != nil && len(h.opts.Backups) > 0:
		return false, nil // it asks when it goes on, and sees then whether the call is its own
	}
	record, err := h.encode(w.id, event)
	if err != nil {
		return false, err
	}
	c := journal.Change{Records: []journal.Record{record}}
	if w.state == parked {
		c.Status, c.Waits = running, &journal.Waits{}
	}
	if err := h.opts.Journal.Write(context.Background(), w.id, false, c); err != nil {
		err = fmt.Errorf("store a receipt: %w", err)
		h.fail(err)
		return false, err
	}
	w.handed++
	h.enqueue(w)
	h.dispatch()
	return true, nil
}

// correct brings news of a call to a run that has ended.
func (h *Host) correct(ctx context.Context, id string, event machine.Received) error {
	err := h.errand(ctx, id, func(m *machine.Machine) (machine.Event, error) {
		if !slices.Contains(m.Unknown(), event.Receipt.Key) {
			return nil, nil
		}
		return event, nil
	})
	var mismatch *machine.MismatchError
	if errors.As(err, &mismatch) {
		err = h.correctUnread(ctx, id, event)
	}
	var missing *journal.NotFoundError
	if errors.As(err, &missing) {
		return nil // it was forgotten: there is nothing to correct
	}
	return err
}

// waitFor returns when nobody is busy with a run's journal any more. The host's lock is
// held; it lets go of it.
func (h *Host) waitFor(ctx context.Context, w *ward) error {
	if w.free == nil {
		w.free = make(chan struct{})
	}
	free := w.free
	h.mu.Unlock()
	select {
	case <-free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// told waits for what a runner says to an item.
func (h *Host) told(ctx context.Context, told <-chan error) error {
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
