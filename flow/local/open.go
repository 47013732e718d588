package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

var _ host.Host = (*Host)(nil)

// Open returns a host that goes on with the runs of the journal, until Stop. The journal
// stays the caller's, who closes it after.
func Open(ctx context.Context, o Options) (*Host, error) {
	h := newHost(o)
	if h.virtual != nil {
		return nil, errors.New("a host of many runs needs a clock that goes by itself")
	}
	h.serves, h.stopping = true, true // until all is known
	h.stopped = sync.NewCond(&h.mu)
	if err := h.recall(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.rehear(ctx); err != nil {
		return nil, err
	}
	h.stopping = false
	for _, l := range h.locks {
		h.admitNext(l)
	}
	for _, one := range h.holds {
		if one.Auto {
			h.look(one)
		}
	}
	h.launch(h.clockwork)
	if h.opts.Restored {
		doubtful := slices.Collect(maps.Keys(h.unknown))
		h.launch(func() {
			for _, run := range doubtful {
				h.reconsider(run)
			}
		})
	}
	h.dispatch()
	return h, h.failed()
}

// reconsider brings a run that ended with unknown outcomes what came of its calls: in a
// backup the receipts may be later than the runs, and nobody tells of them again. What cannot
// be read stays unknown.
func (h *Host) reconsider(run string) {
	defer func() {
		if v := recover(); v != nil {
			h.panicked(run, v)
		}
	}()
	head, m, err := h.rebuilt(h.life, run)
	if err != nil {
		return
	}
	came, err := h.opts.Past.Of(h.life, h.since(&head), m.Unknown()...)
	if err != nil {
		return
	}
	for _, receipt := range came {
		_ = h.correct(h.life, run, machine.Received{At: h.now(), Receipt: receipt})
	}
}

// recall loads what the host has to know: holds, unfinished runs, what they wait for and the
// plans that they follow, and which runs ended with unknown outcomes. No run is rebuilt.
func (h *Host) recall(ctx context.Context) error {
	notes, err := h.opts.Journal.Notes(ctx, holdNotes)
	if err != nil {
		return fmt.Errorf("read the holds: %w", err)
	}
	names := map[string]*hold{}
	for name, body := range notes {
		var row host.StoredHold
		if err := json.Unmarshal(body, &row); err != nil {
			return fmt.Errorf("read the hold %s: %w", name, err)
		}
		one := &hold{Hold: row.Hold(), version: row.Version}
		h.setHold(one)
		names[name] = one
	}
	var keep []*ward
	follow := map[string]int64{} // a run of each plan, by digest
	err = h.opts.Journal.Unfinished(ctx, func(run journal.Run, waits journal.Waits) error {
		if w := h.recallRun(run, waits, names); h.opts.Restored && w.state == kept {
			keep = append(keep, w)
		}
		follow[run.Digest] = run.Seq
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the runs that have not ended: %w", err)
	}
	for i, w := range keep {
		c := journal.Change{Status: string(host.Held)}
		if w.queues {
			c.Waits = &journal.Waits{Note: parkNote{Queued: true, Limit: w.lock.limit}.encode()}
		}
		if err := h.opts.Journal.Write(ctx, w.id, i == len(keep)-1, c); err != nil {
			return fmt.Errorf("store that runs are held: %w", err)
		}
	}
	for _, seq := range follow {
		heads, err := h.opts.Journal.List(ctx, journal.Filter{Before: seq + 1, Limit: 1}) // with its sources
		if err != nil {
			return fmt.Errorf("read the flows of the runs that have not ended: %w", err)
		}
		for _, head := range heads {
			_, _ = h.plan(head) // its runs say so themselves where it no longer compiles
		}
	}
	return h.recallUnknown(ctx)
}

func (h *Host) recallRun(run journal.Run, waits journal.Waits, holds map[string]*hold) *ward {
	w := &ward{id: run.ID, flow: run.Flow}
	h.wards[run.ID] = w
	note := readNote(waits.Note)
	if run.Lock != "" {
		w.lock = h.lockFor(run.Lock, note.Limit)
	}
	switch run.Status {
	case string(host.Waiting):
		w.state = parked
	case string(host.Queued):
		w.state = queued
	case string(host.Held):
		w.state, w.queues = kept, note.Queued
	case string(host.Mismatch):
		w.state, w.reason = stuck, note.Reason
	default:
		w.state = inLine
	}
	if h.opts.Restored && w.state != kept && w.state != stuck {
		w.queues = w.state == queued
		w.state = kept
	}
	switch w.state {
	case inLine:
		h.lanes.push(w)
	case queued:
		w.lock.line = append(w.lock.line, w)
	case parked:
		h.recallWaits(w, waits, note, holds)
	}
	if w.lock != nil && w.state != queued && !w.queues {
		w.lock.holders++
	}
	return w
}

func (h *Host) recallWaits(w *ward, waits journal.Waits, note parkNote, holds map[string]*hold) {
	w.subs, w.keys = waits.Subscriptions, waits.Keys
	for _, s := range w.subs {
		h.topics.add(w, s.Name, s.Subject)
	}
	until := waits.Until
	for _, name := range note.Holds {
		one := holds[name]
		if one == nil { // it is lifted: the calls that it kept may go on
			until = h.now()
			continue
		}
		if w.held == nil {
			w.held = map[*hold]int{}
		}
		w.held[one]++
		one.wards[w]++
	}
	h.timers.set(w, until)
}

func (h *Host) recallUnknown(ctx context.Context) error {
	f := journal.Filter{Unknown: true, Limit: 1000}
	for {
		heads, err := h.opts.Journal.List(ctx, f)
		if err != nil {
			return fmt.Errorf("read the runs with unknown outcomes: %w", err)
		}
		for _, head := range heads {
			if !head.Ended.IsZero() || head.Status == string(host.Queued) {
				h.unknown[head.ID] = true
			}
		}
		if len(heads) < f.Limit {
			return nil
		}
		f.Before = heads[len(heads)-1].Seq
	}
}

// rehear brings the events to those that wait for them of which nobody has said yet that
// all had their say. The host's lock is held.
func (h *Host) rehear(ctx context.Context) error {
	events, err := h.opts.Journal.Open(ctx)
	if err != nil {
		return fmt.Errorf("read the events that are open: %w", err)
	}
	var unsure []*ward // they were under way: what they wait for is not known
	for _, w := range h.wards {
		if w.state == inLine {
			unsure = append(unsure, w)
		}
	}
	for _, stored := range events {
		e, err := h.openEvent(stored)
		if err != nil {
			return err
		}
		heard := &hearing{event: e, claimed: stored.Claimed}
		for _, w := range unsure {
			heard.by(w)
		}
		h.present(heard, stored.Subjects, nil)
	}
	return h.failed()
}
