package local

import (
	"context"
	"errors"
	"fmt"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// events are those of a run whose journal may not fit its flow, as far as they can be read.
func (h *Host) events(run string, records []journal.Record) (events []machine.Event) {
	for _, record := range records {
		if event, err := h.decode(run, record); err == nil && event != nil {
			events = append(events, event)
		}
	}
	return events
}

// doubts returns the calls of which the journal of a run does not say what became of them.
func (h *Host) doubts(head journal.Run, records []journal.Record) []host.Doubt {
	var m *machine.Machine
	if p, err := h.plan(head); err == nil {
		m, _, _ = h.replay(p.Plan, head, records, nil)
	}
	return host.Doubts(m, h.events(head.ID, records))
}

// clear stores what became of a call of a run that has ended and cannot be rebuilt. choose
// returns the event that says it; nil: there is nothing to say.
func (h *Host) clear(ctx context.Context, run string, choose func([]host.Doubt) (machine.Event, error)) error {
	w, err := h.claim(ctx, run)
	if err != nil {
		return err
	}
	if w == nil {
		return &host.StateError{Run: run, Reason: "it has just gone on", Hint: "try again"}
	}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.release(w)
	}()
	if w.state != over {
		return &host.StateError{Run: run, Reason: "its journal does not fit, and it has not ended", Hint: "cancel it first, or release it once its flow fits again"}
	}
	head, records, err := h.load(ctx, run)
	if err != nil {
		return err
	}
	doubts := h.doubts(head, records)
	event, err := choose(doubts)
	if err != nil || event == nil {
		return err
	}
	record, err := h.encode(run, event)
	if err != nil {
		return err
	}
	settled := difference(host.Unanswered(h.events(run, records)), host.Unanswered(append(h.events(run, records), event)))
	c := journal.Change{Records: []journal.Record{record}, Settled: settled}
	if err := h.opts.Journal.Write(ctx, run, true, c); err != nil {
		return h.check(ctx, fmt.Errorf("store what became of a call: %w", err))
	}
	if len(doubts) == 1 {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.unknown, run)
	}
	return nil
}

// settleUnread is Settle for a run that cannot be rebuilt.
func (h *Host) settleUnread(ctx context.Context, run, step string, s host.Settlement) error {
	return h.clear(ctx, run, func(doubts []host.Doubt) (machine.Event, error) {
		return host.SettleDoubt(doubts, run, step, s, h.now())
	})
}

// correctUnread brings news of a call to a run that has ended and cannot be rebuilt.
func (h *Host) correctUnread(ctx context.Context, run string, event machine.Received) error {
	err := h.clear(ctx, run, func(doubts []host.Doubt) (machine.Event, error) {
		return host.ReceiveDoubt(doubts, event.Receipt, event.At), nil
	})
	var state *host.StateError
	if errors.As(err, &state) {
		return nil // it goes on, and asks for what came itself
	}
	return err
}
