package local

import (
	"context"
	"errors"
	"fmt"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// events decodes the records of a run whose journal may not fit its flow, as far as possible.
func (h *Host) events(run string, records []journal.Record) (events []machine.Event) {
	for _, record := range records {
		if event, err := h.decode(run, record); err == nil && event != nil {
			events = append(events, event)
		}
	}
	return events
}

// unresolvedCalls returns the calls of a run whose outcome its journal does not tell.
func (h *Host) unresolvedCalls(head journal.Run, records []journal.Record) []host.UnresolvedCall {
	var m *machine.Machine
	if p, err := h.plan(head); err == nil {
		m, _, _ = h.replay(p.Plan, head, records, nil)
	}
	return host.UnresolvedCalls(m, h.events(head.ID, records))
}

// resolveUnreadable stores the outcome of a call of a run that has ended and cannot be
// rebuilt. choose returns the event that tells it; nil: there is nothing to store.
func (h *Host) resolveUnreadable(ctx context.Context, id string, choose func([]host.UnresolvedCall) (machine.Event, error)) error {
	run, err := h.claim(ctx, id)
	if err != nil {
		return err
	}
	if run == nil {
		return &host.StateError{Run: id, Reason: "it has just continued", Hint: "try again"}
	}
	defer h.release(run)
	if run.state != stateEnded {
		return &host.StateError{Run: id, Reason: "its journal does not match its flow, and it has not ended", Hint: "cancel it first, or release it once its flow matches again"}
	}
	head, records, err := h.load(ctx, id)
	if err != nil {
		return err
	}
	doubts := h.unresolvedCalls(head, records)
	event, err := choose(doubts)
	if err != nil || event == nil {
		return err
	}
	record, err := h.encode(id, event)
	if err != nil {
		return err
	}
	settled := difference(host.UnresolvedKeys(h.events(id, records)), host.UnresolvedKeys(append(h.events(id, records), event)))
	c := journal.Change{Records: []journal.Record{record}, Settled: settled}
	if err := h.opts.Journal.Write(ctx, id, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store what became of a call: %w", err))
	}
	if len(doubts) == 1 {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.unknown, id)
	}
	return nil
}

// settleUnreadable is Settle for a run that cannot be rebuilt.
func (h *Host) settleUnreadable(ctx context.Context, run, step string, s host.Settlement) error {
	return h.resolveUnreadable(ctx, run, func(doubts []host.UnresolvedCall) (machine.Event, error) {
		return host.SettleUnresolved(doubts, run, step, s, h.now())
	})
}

// correctUnreadable applies a receipt to a run that has ended and cannot be rebuilt.
func (h *Host) correctUnreadable(ctx context.Context, run string, event machine.Received) error {
	err := h.resolveUnreadable(ctx, run, func(doubts []host.UnresolvedCall) (machine.Event, error) {
		return host.ReceiveUnresolved(doubts, event.Receipt, event.At), nil
	})
	if _, active := errors.AsType[*host.StateError](err); active {
		return nil // it goes on, and asks for past receipts itself
	}
	return err
}
