package local

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// errDetached says that a run has lost its runner: the caller has to look it up again.
var errDetached = errors.New("nobody carries the run any more")

// errFault is what people see of a panic; Options.Panicked gets the details.
var errFault = errors.New("a bug in the program stopped it")

// work executes a run as far as possible now.
func (r *runner) work() {
	ended, err := r.rebuildAndLoop()
	if !ended && err == nil {
		return // the run was detached, or its loop yielded
	}
	r.drainCalls()
	h, stuck := r.h, false
	h.mu.Lock()
	switch _, unstored := errors.AsType[*storeError](err); {
	case r.final != nil:
		h.finishRun(r)
	case errors.Is(err, errNoReceipts):
		h.postpone(r)
	case unstored || errors.Is(err, ErrCrashed) || errors.Is(err, h.failed()):
		h.fail(err)
		h.leaveUnfinished(r)
	default:
		h.markStuck(r, err)
		stuck = h.opts.OnStuck != nil
	}
	h.mu.Unlock()
	if stuck {
		r.guard(func() { h.opts.OnStuck(r.run.id, err) })
	}
	if r.final != nil && h.opts.OnEnd != nil {
		r.guard(func() { h.opts.OnEnd(r.final) })
	}
}

// rebuildAndLoop rebuilds the run, unless it is in memory, and executes it.
func (r *runner) rebuildAndLoop() (ended bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			ended, err = false, errFault
		}
	}()
	if r.startErr != nil {
		return false, r.startErr
	}
	if r.m == nil {
		if err := r.rebuild(); err != nil {
			return false, err
		}
	}
	return r.loop(context.Background())
}

func (r *runner) panicked(v any) { r.h.panicked(r.run.id, v) }

func (h *Host) panicked(run string, v any) {
	if h.opts.Panicked != nil {
		h.opts.Panicked(call.Call{Run: run}, v, debug.Stack())
	}
}

// guard calls a callback, whose panic must not harm the run.
func (r *runner) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
		}
	}()
	f()
}

func (r *runner) rebuild() error {
	head, records, err := r.h.load(context.Background(), r.run.id)
	if err != nil {
		return err
	}
	p, err := r.h.plan(head)
	if err != nil {
		return err
	}
	if err := r.replay(p.Plan, head, records); err != nil {
		return err
	}
	r.plan = p
	return r.applyMissedReceipts()
}

// load reads a run from the journal.
func (h *Host) load(ctx context.Context, id string) (journal.Run, []journal.Record, error) {
	head, records, err := h.opts.Journal.Load(ctx, id)
	if err != nil {
		if _, missing := errors.AsType[*journal.NotFoundError](err); missing || ctx.Err() != nil {
			return head, nil, err
		}
		return head, nil, &storeError{fmt.Errorf("read the run: %w", err)}
	}
	return head, records, nil
}

// finishRun removes a run that has ended. The caller holds h.mu.
func (h *Host) finishRun(r *runner) {
	run := r.run
	h.resolveDeliveries(run, r.m)
	h.detach(r)
	delete(h.unknown, run.id)
	if len(r.unknown) > 0 {
		h.unknown[run.id] = true
	}
	run.complete(r.final, nil)
	h.forget(run)
	h.freeWorker()
}

// markStuck stores that a run goes no further until a person intervenes, with the outcomes that
// its calls have had so far; the other outcomes are unknown. The caller holds h.mu.
func (h *Host) markStuck(r *runner, err error) {
	run := r.run
	run.reason = err.Error()
	c := journal.Change{Status: string(host.Mismatch), Waits: &journal.Waits{Note: waitNote{Reason: run.reason}.encode()}}
	c.Records = r.outcomes()
	h.resolveDeliveries(run, nil)
	h.detach(r)
	run.state = stateStuck
	if _, records, err := h.opts.Journal.Load(context.Background(), run.id); err == nil {
		c.Unknown = host.UnresolvedKeys(h.events(run.id, append(records, c.Records...)))
	}
	err = h.opts.Journal.Write(context.Background(), run.id, false, c)
	if _, missing := errors.AsType[*journal.NotFoundError](err); missing {
		h.forget(run)
	} else if err != nil {
		h.fail(err)
	}
	h.freeWorker()
}

// outcomes returns records of the outcomes that came and are not stored when a run stops, each
// after the Taken of its call if that is not stored either.
func (r *runner) outcomes() []journal.Record {
	records := slices.Clone(r.pending.Records)
	messages := r.inbox.take()
	for _, m := range messages {
		event, ok := m.event.(machine.Answered)
		if ic := r.inFlight[event.Key]; ok && (ic == nil || ic.taken) {
			if record, err := r.h.encode(r.run.id, event); err == nil {
				records = append(records, record)
			}
		}
	}
	r.inbox.putBack(messages)
	answered := map[string]bool{}
	for _, event := range r.h.events(r.run.id, records) {
		if event, ok := event.(machine.Answered); ok {
			answered[event.Key] = true
		}
	}
	return slices.DeleteFunc(records, func(record journal.Record) bool {
		event, _ := r.h.decode(r.run.id, record) // cannot fail: it was just encoded
		taken, ok := event.(machine.Taken)
		return record.Kind != kindAnswered && !(ok && answered[taken.Key])
	})
}

// leaveUnfinished leaves a run to the next host that opens the journal. The caller holds h.mu.
func (h *Host) leaveUnfinished(r *runner) {
	r.run.deliveries = nil // their events are not done, and are delivered again
	h.detach(r)
	r.run.state = stateReady
	h.freeWorker()
}

// detach separates a run from its runner. The caller holds h.mu.
func (h *Host) detach(r *runner) {
	run := r.run
	run.runner, run.state = nil, stateEnded
	h.timers.remove(run)
	for _, sub := range r.subs {
		h.topics.remove(run, sub.Name, sub.Subject)
	}
	for _, s := range r.oldSubs {
		h.topics.remove(run, s.Name, s.Subject)
	}
	r.subs, r.oldSubs = nil, nil
	h.clearHolds(run)
	r.releaseWaiters()
	r.rejectWaiting()
	r.inbox.take()
}

// rejectWaiting replies errDetached to those who wait for the runner.
func (r *runner) rejectWaiting() {
	r.acknowledge(errDetached)
	messages := r.inbox.take()
	for i := range messages {
		messages[i].answer(errDetached)
	}
	r.inbox.putBack(messages)
}

// forget removes a run. Those who wait for its end look it up again. The caller holds h.mu.
func (h *Host) forget(run *activeRun) {
	if r := run.runner; r != nil {
		h.detach(r)
	}
	delete(h.runs, run.id)
	h.releaseLock(run)
	run.complete(nil, errDetached)
}
