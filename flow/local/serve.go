package local

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

// errGone says that nobody carries the run any more: whoever wants something of it has to
// look again.
var errGone = errors.New("nobody carries the run any more")

// errFault is what people are told of a panic; Options.Panicked is told more.
var errFault = errors.New("a fault of the program stopped it")

// work carries a run as far as it goes now.
func (r *runner) work() {
	ended, err := r.serve()
	if !ended && err == nil {
		return // it is in other hands, or in nobody's
	}
	r.abandon() // after the run's end there is nothing left to abandon
	h, stranded := r.h, false
	h.mu.Lock()
	switch _, unstored := errors.AsType[*storeError](err); {
	case r.ended != nil:
		h.finish(r)
	case errors.Is(err, errDeaf):
		h.postpone(r)
	case unstored || errors.Is(err, ErrCrashed) || errors.Is(err, h.failed()):
		h.fail(err)
		h.drop(r)
	default:
		h.strand(r, err)
		stranded = h.opts.OnStuck != nil
	}
	h.mu.Unlock()
	if stranded {
		r.guard(func() { h.opts.OnStuck(r.id, err) })
	}
	if r.ended != nil && h.opts.OnEnd != nil {
		r.guard(func() { h.opts.OnEnd(r.ended) })
	}
}

// serve rebuilds the run, unless it is fresh, and performs what it wants.
func (r *runner) serve() (ended bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			ended, err = false, errFault
		}
	}()
	if r.halted != nil {
		return false, r.halted
	}
	if r.m == nil {
		if err := r.rebuild(); err != nil {
			return false, err
		}
	}
	return r.loop(context.Background())
}

func (r *runner) panicked(v any) { r.h.panicked(r.id, v) }

func (h *Host) panicked(run string, v any) {
	if h.opts.Panicked != nil {
		h.opts.Panicked(call.Call{Run: run}, v, debug.Stack())
	}
}

// guard calls what can do the run no harm.
func (r *runner) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
		}
	}()
	f()
}

func (r *runner) rebuild() error {
	head, records, err := r.h.load(context.Background(), r.id)
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
	r.planned = p
	return r.missed()
}

// load reads a run from the journal.
func (h *Host) load(ctx context.Context, id string) (journal.Run, []journal.Record, error) {
	head, records, err := h.opts.Journal.Load(ctx, id)
	if err != nil {
		var missing *journal.NotFoundError
		if errors.As(err, &missing) || ctx.Err() != nil {
			return head, nil, err
		}
		return head, nil, &storeError{fmt.Errorf("read the run: %w", err)}
	}
	return head, records, nil
}

// finish takes leave of a run that has ended. The host's lock is held.
func (h *Host) finish(r *runner) {
	w := r.w
	h.resolve(w, r.m)
	h.lay(r)
	delete(h.unknown, w.id)
	if len(r.unknown) > 0 {
		h.unknown[w.id] = true
	}
	w.tell(r.ended, nil)
	h.forget(w)
	h.idle()
}

// strand leaves a run where it is: it cannot go on, and people have to look at it. What
// became of its calls is stored as far as it came, the others are unknown. The host's lock
// is held.
func (h *Host) strand(r *runner, err error) {
	w := r.w
	w.reason = err.Error()
	c := journal.Change{Status: string(host.Mismatch), Waits: &journal.Waits{Note: parkNote{Reason: w.reason}.encode()}}
	c.Records = r.outcomes()
	h.resolve(w, nil)
	h.lay(r)
	w.state = stuck
	if _, records, err := h.opts.Journal.Load(context.Background(), w.id); err == nil {
		c.Unknown = host.Unanswered(h.events(w.id, append(records, c.Records...)))
	}
	var missing *journal.NotFoundError
	switch err := h.opts.Journal.Write(context.Background(), w.id, false, c); {
	case errors.As(err, &missing):
		h.forget(w)
	case err != nil:
		h.fail(err)
	}
	h.idle()
}

// outcomes are those of calls that came, and are not stored, when a run stops. That such a
// call was taken up goes before, where that is not stored either.
func (r *runner) outcomes() (records []journal.Record) {
	var came []journal.Record
	keys := map[string]bool{}
	items := r.take()
	for _, i := range items {
		event, ok := i.event.(machine.Answered)
		if u := r.made[event.Key]; ok && (u == nil || u.taken) {
			if record, err := r.h.encode(r.id, event); err == nil {
				came, keys[event.Key] = append(came, record), true
			}
		}
	}
	r.putBack(items)
	pending := r.pending.Records
	events := make([]machine.Event, len(pending))
	for i, record := range pending {
		events[i], _ = r.h.decode(r.id, record) // it was just encoded
		if event, ok := events[i].(machine.Answered); ok {
			keys[event.Key] = true
		}
	}
	for i, event := range events {
		taken, ok := event.(machine.Taken)
		if pending[i].Kind == answered || ok && keys[taken.Key] {
			records = append(records, pending[i])
		}
	}
	return append(records, came...)
}

// drop leaves a run to whoever opens the journal next. The host's lock is held.
func (h *Host) drop(r *runner) {
	r.w.hearings = nil // their events stay open
	h.lay(r)
	r.w.state = inLine
	h.idle()
}

// lay takes the run out of the runner's hands. The host's lock is held.
func (h *Host) lay(r *runner) {
	w := r.w
	w.runner, w.state = nil, over
	h.timers.remove(w)
	for _, l := range r.subs {
		h.topics.remove(w, l.Name, l.Subject)
	}
	for _, s := range r.old {
		h.topics.remove(w, s.Name, s.Subject)
	}
	r.subs, r.old = nil, nil
	h.unhold(w)
	r.leaveLines()
	r.turnAway()
	r.take()
}

// turnAway answers those who wait for the run: nobody carries it any more.
func (r *runner) turnAway() {
	r.answer(errGone)
	items := r.take()
	for i := range items {
		if items[i].told != nil {
			items[i].told <- errGone
			items[i].told = nil
		}
	}
	r.putBack(items)
}

// forget removes a ward. Who still waits for the run looks again. The host's lock is held.
func (h *Host) forget(w *ward) {
	if r := w.runner; r != nil {
		h.lay(r)
	}
	delete(h.wards, w.id)
	h.unlock(w)
	w.tell(nil, errGone)
}
