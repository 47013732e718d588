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

// maxKeptReceipts bounds the receipts that a foreground host keeps for runs that are not active.
// Past it the oldest are dropped.
const maxKeptReceipts = 10_000

// Receive implements host.Host.
func (h *Host) Receive(ctx context.Context, receipts ...call.Receipt) error {
	if err := h.failed(); err != nil {
		return err
	}
	wrote := false
	for _, receipt := range receipts {
		written, err := h.receiveOne(ctx, receipt)
		if err != nil {
			return err
		}
		wrote = wrote || written
	}
	if !wrote {
		return nil
	}
	return h.barrier(ctx)
}

// receiveOne passes a receipt to its run, and tells whether something was written, though not
// durably.
func (h *Host) receiveOne(ctx context.Context, receipt call.Receipt) (wrote bool, err error) {
	id := call.RunOf(receipt.Key)
	if id == "" {
		return false, nil
	}
	event := machine.Received{At: h.now(), Receipt: receipt}
	for {
		h.mu.Lock()
		run := h.runs[id]
		switch {
		case run == nil:
			hasUnknown := h.unknown[id]
			h.mu.Unlock()
			if hasUnknown {
				return false, h.correctEnded(ctx, id, event)
			}
			return false, nil
		case run.claimed:
			if err := h.awaitRelease(ctx, run); err != nil {
				return false, err
			}
		case run.state == stateRunning:
			reply := make(chan error, 1)
			run.runner.post(message{event: event, reply: reply})
			h.mu.Unlock()
			err := h.awaitReply(ctx, reply)
			if errors.Is(err, errDetached) {
				continue
			}
			return true, err
		default:
			defer h.mu.Unlock()
			return h.appendReceipt(run, event)
		}
	}
}

// receive passes a receipt to a run of a foreground host, or keeps it until the run is resumed.
func (h *Host) receive(receipt call.Receipt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if run := h.runs[call.RunOf(receipt.Key)]; run != nil && run.runner != nil {
		run.runner.post(message{event: machine.Received{At: h.now(), Receipt: receipt}})
		return
	}
	h.keepReceipt(receipt)
}

func (h *Host) keepReceipt(receipt call.Receipt) {
	if len(h.receipts) >= maxKeptReceipts {
		h.receipts = slices.Delete(h.receipts, 0, maxKeptReceipts/10) // by the tenth, since each deletion copies the rest
	}
	h.receipts = append(h.receipts, receipt)
}

// appendReceipt appends a receipt to the journal of a run without a runner, and wakes it. The
// caller holds h.mu.
func (h *Host) appendReceipt(run *activeRun, event machine.Received) (wrote bool, err error) {
	switch {
	case run.state == stateParked && !run.wantsReceipt(event.Receipt.Key), run.state == stateQueued && !h.unknown[run.id], run.state == stateStuck:
		return false, nil
	case run.state != stateParked && h.opts.Past != nil && len(h.opts.Backups) > 0:
		return false, nil // it reads past receipts when it is rebuilt, and then knows whether the call is its own
	}
	record, err := h.encode(run.id, event)
	if err != nil {
		return false, err
	}
	c := journal.Change{Records: []journal.Record{record}}
	if run.state == stateParked {
		c.Status, c.Waits = statusRunning, &journal.Waits{}
	}
	if err := h.opts.Journal.Write(context.Background(), run.id, false, c); err != nil {
		err = fmt.Errorf("store a receipt: %w", err)
		h.fail(err)
		return false, err
	}
	run.unseenRecords++
	h.enqueue(run)
	h.dispatch()
	return true, nil
}

// correctEnded applies a receipt to a run that has ended.
func (h *Host) correctEnded(ctx context.Context, id string, event machine.Received) error {
	err := h.applyEvent(ctx, id, func(m *machine.Machine) (machine.Event, error) {
		if !slices.Contains(m.Unknown(), event.Receipt.Key) {
			return nil, nil
		}
		return event, nil
	})
	if _, unreadable := errors.AsType[*machine.MismatchError](err); unreadable {
		err = h.correctUnreadable(ctx, id, event)
	}
	if _, pruned := errors.AsType[*journal.NotFoundError](err); pruned {
		return nil
	}
	return err
}

// awaitRelease waits for the end of a run's claim. The caller holds h.mu, which it unlocks.
func (h *Host) awaitRelease(ctx context.Context, run *activeRun) error {
	if run.released == nil {
		run.released = make(chan struct{})
	}
	released := run.released
	h.mu.Unlock()
	select {
	case <-released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitReply waits for a runner's reply to a message.
func (h *Host) awaitReply(ctx context.Context, reply <-chan error) error {
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
