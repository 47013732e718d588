package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// A doubt is a call of which the journal does not say what became of it.
type doubt struct {
	key  string
	path string // of its step, "" when that is not known
}

// doubts returns those of a run whose journal may not fit its flow, as far as it can be
// read.
func (h *Host) doubts(head journal.Run, records []journal.Record) (doubts []doubt) {
	for _, key := range h.unanswered(head.ID, records) {
		doubts = append(doubts, doubt{key: key})
	}
	p, err := h.plan(head)
	if err != nil {
		return doubts
	}
	m, _, _ := h.replay(p.Plan, head, records, nil)
	if m == nil {
		return doubts
	}
	for _, command := range m.Next() { // all that it ever wanted, also what did not fit
		c, ok := command.(machine.Call)
		if i := slices.IndexFunc(doubts, func(d doubt) bool { return d.key == c.Key }); ok && i >= 0 {
			doubts[i].path = c.Step
		}
	}
	return doubts
}

// clear stores what became of a call of a run that has ended and cannot be rebuilt. choose
// returns the event that says it, and the key of the call; no event: there is nothing to
// say.
func (h *Host) clear(ctx context.Context, run string, choose func([]doubt) (key string, e machine.Event, err error)) error {
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
	key, event, err := choose(doubts)
	if err != nil || event == nil {
		return err
	}
	record, err := h.encode(run, event)
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{record}, Settled: []string{key}}
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

// settleUnread is Settle for a run that cannot be rebuilt. Its steps may not be known: then
// the key of the call stands for them.
func (h *Host) settleUnread(ctx context.Context, run, step string, s host.Settlement) error {
	return h.clear(ctx, run, func(doubts []doubt) (string, machine.Event, error) {
		var named []doubt
		var all []string
		for _, d := range doubts {
			if d.key == step || d.path != "" && host.Names(step, d.path) {
				named = append(named, d)
			}
			all = append(all, strings.TrimSpace(d.path+" "+d.key))
		}
		if i := slices.IndexFunc(named, func(d doubt) bool { return d.path == step || d.key == step }); i >= 0 {
			named = named[i : i+1]
		}
		switch {
		case len(doubts) == 0:
			return "", nil, &host.StateError{Run: run, Reason: "the outcome of none of its calls is unknown"}
		case len(named) != 1:
			return "", nil, &host.StateError{
				Run: run, Reason: fmt.Sprintf("its journal does not fit, and %s does not say which call is meant", step),
				Hint: "name the key of a call: " + strings.Join(all, ", "),
			}
		}
		return named[0].key, machine.Settled{At: h.now(), Key: named[0].key, Happened: s.Happened, ID: s.ID}, nil
	})
}

// correctUnread brings news of a call to a run that has ended and cannot be rebuilt.
func (h *Host) correctUnread(ctx context.Context, run string, event machine.Received) error {
	err := h.clear(ctx, run, func(doubts []doubt) (string, machine.Event, error) {
		key := event.Receipt.Key
		if !slices.ContainsFunc(doubts, func(d doubt) bool { return d.key == key }) {
			return "", nil, nil
		}
		return key, event, nil
	})
	var state *host.StateError
	if errors.As(err, &state) {
		return nil // it goes on, and asks for what came itself
	}
	return err
}

// unanswered returns the keys of the calls that a run took up, and of which its journal
// does not say whether they happened.
func (h *Host) unanswered(run string, records []journal.Record) (keys []string) {
	without := func(key string) []string { return difference(keys, []string{key}) }
	for _, record := range records {
		event, err := h.decode(run, record)
		if err != nil {
			continue
		}
		switch e := event.(type) {
		case machine.Taken:
			keys = append(keys, e.Key)
		case machine.Answered:
			if e.Outcome.Status != call.Unknown {
				keys = without(e.Key)
			}
		case machine.Received:
			keys = without(e.Receipt.Key)
		case machine.Settled:
			keys = without(e.Key)
		}
	}
	return keys
}
