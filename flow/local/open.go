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

// Open returns a host that resumes the unfinished runs of the journal and runs until Stop.
// The caller closes the journal after Stop.
func Open(ctx context.Context, o Options) (*Host, error) {
	h := newHost(o)
	if h.virtual != nil {
		return nil, errors.New("a host of many runs needs a clock that goes by itself")
	}
	h.opened, h.stopping = true, true // until the state is loaded
	h.workerFreed = sync.NewCond(&h.mu)
	if err := h.loadState(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.redeliver(ctx); err != nil {
		return nil, err
	}
	h.stopping = false
	for _, l := range h.locks {
		h.admitNext(l)
	}
	for _, held := range h.holds {
		if held.Auto {
			h.watchHold(held)
		}
	}
	h.spawn(h.timerLoop)
	if h.opts.Restored {
		unknown := slices.Collect(maps.Keys(h.unknown))
		h.spawn(func() {
			for _, run := range unknown {
				h.correctFromPast(run)
			}
		})
	}
	h.dispatch()
	return h, h.failed()
}

// correctFromPast applies the receipts that came for the unknown calls of a run that has
// ended: after a restore the ledger may be newer than the journal, and its receipts are not
// delivered again. What cannot be read stays unknown.
func (h *Host) correctFromPast(run string) {
	defer func() {
		if v := recover(); v != nil {
			h.panicked(run, v)
		}
	}()
	head, m, err := h.rebuild(h.ctx, run)
	if err != nil {
		return
	}
	receipts, err := h.opts.Past.Read(h.ctx, h.since(&head), m.Unknown()...)
	if err != nil {
		return
	}
	for _, receipt := range receipts {
		_ = h.correctEnded(h.ctx, run, machine.Received{At: h.now(), Receipt: receipt})
	}
}

// loadState loads what the host keeps in memory: holds, unfinished runs and what they wait
// for, their plans, and which ended runs have unknown outcomes. No machine is rebuilt yet.
func (h *Host) loadState(ctx context.Context) error {
	notes, err := h.opts.Journal.Notes(ctx, holdNoteKind)
	if err != nil {
		return fmt.Errorf("read the holds: %w", err)
	}
	holds := map[string]*hold{}
	for name, body := range notes {
		var row host.StoredHold
		if err := json.Unmarshal(body, &row); err != nil {
			return fmt.Errorf("read the hold %s: %w", name, err)
		}
		held := &hold{Hold: row.Hold(), version: row.Version}
		h.addHold(held)
		holds[name] = held
	}
	var newlyHeld []*activeRun
	sample := map[string]int64{} // digest of a plan → the Seq of one of its runs
	err = h.opts.Journal.Unfinished(ctx, func(head journal.Run, waits journal.Waits) error {
		if run := h.loadRun(head, waits, holds); h.opts.Restored && run.state == stateHeld {
			newlyHeld = append(newlyHeld, run)
		}
		sample[head.Digest] = head.Seq
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the runs that have not ended: %w", err)
	}
	for i, run := range newlyHeld {
		c := journal.Change{Status: string(host.Held)}
		if run.wasQueued {
			c.Waits = queuedWaits(run.lock.limit)
		}
		if err := h.opts.Journal.Write(ctx, run.id, i == len(newlyHeld)-1, c); err != nil {
			return fmt.Errorf("store that runs are held: %w", err)
		}
	}
	for _, seq := range sample {
		heads, err := h.opts.Journal.List(ctx, journal.Filter{Before: seq + 1, Limit: 1}) // List returns Sources
		if err != nil {
			return fmt.Errorf("read the flows of the runs that have not ended: %w", err)
		}
		for _, head := range heads {
			_, _ = h.plan(head) // if it does not compile, its runs report that when they are rebuilt
		}
	}
	return h.loadUnknown(ctx)
}

func (h *Host) loadRun(head journal.Run, waits journal.Waits, holds map[string]*hold) *activeRun {
	run := &activeRun{id: head.ID, flow: head.Flow}
	h.runs[head.ID] = run
	note := decodeNote(waits.Note)
	if head.Lock != "" {
		run.lock = h.lockFor(head.Lock, note.Limit)
	}
	switch head.Status {
	case string(host.Waiting):
		run.state = stateParked
	case string(host.Queued):
		run.state = stateQueued
	case string(host.Held):
		run.state, run.wasQueued = stateHeld, note.Queued
	case string(host.Mismatch):
		run.state, run.reason = stateStuck, note.Reason
	default:
		run.state = stateReady
	}
	if h.opts.Restored && run.state != stateHeld && run.state != stateStuck {
		run.wasQueued = run.state == stateQueued
		run.state = stateHeld
	}
	switch run.state {
	case stateReady:
		h.runQueue.push(run.flow, run)
	case stateQueued:
		run.lock.queue = append(run.lock.queue, run)
	case stateParked:
		h.loadWaits(run, waits, note, holds)
	}
	if run.lock != nil && run.state != stateQueued && !run.wasQueued {
		run.lock.holders++
	}
	return run
}

func (h *Host) loadWaits(run *activeRun, waits journal.Waits, note waitNote, holds map[string]*hold) {
	run.subs, run.receiptKeys = waits.Subscriptions, waits.Keys
	for _, s := range run.subs {
		h.topics.add(run, s.Name, s.Subject)
	}
	until := waits.Until
	for _, name := range note.Holds {
		held := holds[name]
		if held == nil { // it was lifted meanwhile: the held calls may go on
			until = h.now()
			continue
		}
		if run.holds == nil {
			run.holds = map[*hold]int{}
		}
		run.holds[held]++
		held.runs[run]++
	}
	h.timers.set(run, until)
}

func (h *Host) loadUnknown(ctx context.Context) error {
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

// redeliver offers the events that were not done when the previous host ended to the runs
// that wait for them. The caller holds h.mu.
func (h *Host) redeliver(ctx context.Context) error {
	events, err := h.opts.Journal.OpenEvents(ctx)
	if err != nil {
		return fmt.Errorf("read the events that are open: %w", err)
	}
	var unknown []*activeRun // they were executing: their subscriptions are not stored
	for _, run := range h.runs {
		if run.state == stateReady {
			unknown = append(unknown, run)
		}
	}
	for _, stored := range events {
		e, err := h.openEvent(stored)
		if err != nil {
			return err
		}
		d := &delivery{event: e, claimed: stored.Claimed}
		for _, run := range unknown {
			d.add(run)
		}
		h.distribute(d, stored.Subjects, nil)
	}
	return h.failed()
}
