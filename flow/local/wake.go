package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/journal"
)

// maxWoken is how many runs are woken in one write.
const maxWoken = 1000

// wake lets runs look around. Parked ones are put in line, and it is stored that they wait
// no more: a run that is not parked is running in the journal, so that a crash forgets
// none. The host's lock is held.
func (h *Host) wake(wards ...*ward) {
	ids := make([]string, 0, len(wards))
	for _, w := range wards {
		switch w.state {
		case carried:
			w.runner.poke()
		case parked:
			ids = append(ids, w.id)
		}
	}
	if len(ids) == 0 {
		return
	}
	for some := range slices.Chunk(ids, maxWoken) {
		if err := h.opts.Journal.Wake(context.Background(), false, some...); err != nil {
			h.fail(fmt.Errorf("store that runs go on: %w", err))
			return
		}
	}
	for _, w := range wards {
		h.enqueue(w)
	}
	h.dispatch()
}

// enqueue puts a parked run in line. The journal knows. The host's lock is held.
func (h *Host) enqueue(w *ward) {
	if w.state != parked {
		return
	}
	h.timers.remove(w)
	w.until = time.Time{}
	if w.busy {
		w.due = true
		return
	}
	w.state = inLine
	h.lanes.push(w)
}

// dispatch gives runs that wait in line to free workers. The host's lock is held.
func (h *Host) dispatch() {
	for h.free > 0 && !h.stopping && h.failed() == nil {
		w := h.lanes.pop()
		if w == nil {
			return
		}
		if w.state != inLine || w.busy { // it was taken out, or is put back when it is free
			continue
		}
		h.free--
		r := h.carry(w)
		r.old, w.subs, w.keys = w.subs, nil, nil
		h.unhold(w)
		h.launch(r.work)
	}
}

// idle takes a worker back. The host's lock is held.
func (h *Host) idle() {
	h.free++
	h.stopped.Broadcast()
	h.dispatch()
}

// clockwork wakes runs whose time has come, and does what else is due, until the host
// ends.
func (h *Host) clockwork() {
	for {
		h.mu.Lock()
		now := h.now()
		var due []*ward
		for {
			w, at := h.timers.first()
			if w == nil || at.After(now) || len(due) == maxWoken {
				break
			}
			h.timers.remove(w)
			if w.state == carried || !h.stopping {
				due = append(due, w)
			}
		}
		h.wake(due...)
		job := h.jobs.pop(now)
		_, next := h.timers.first()
		if at := h.jobs.next(); next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
		// A clock that is set forward is noticed within a minute.
		if most := now.Add(time.Minute); next.IsZero() || next.After(most) {
			next = most
		}
		h.looks = next
		h.mu.Unlock()
		if job != nil {
			_ = job.do()
			continue
		}
		if h.opts.Clock.Wait(h.life, next, h.alarm) != nil {
			return
		}
	}
}

// expect wakes a run at a time; the zero time never comes. The host's lock is held.
func (h *Host) expect(w *ward, at time.Time) {
	h.timers.set(w, at)
	h.ring(at)
}

// ring makes the clockwork look again at a time. The host's lock is held.
func (h *Host) ring(at time.Time) {
	if at.IsZero() || !at.Before(h.looks) {
		return
	}
	h.looks = at
	select {
	case h.alarm <- struct{}{}:
	default:
	}
}

// arm sees to it that somebody gives out the places of a bucket when they are free.
func (h *Host) arm(b *bucket) {
	at, mine := h.limits.arm(b, h.now())
	if !mine {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs.add(at, opening{h, b})
	h.ring(at)
}

// An opening is the time at which a bucket has a free place.
type opening struct {
	h *Host
	b *bucket
}

func (opening) wanted() bool { return true }

func (o opening) do() error {
	o.h.granted(o.h.limits.grant(o.b, o.h.now()))
	o.h.arm(o.b)
	return nil
}

// granted tells runs that they got a place.
func (h *Host) granted(tickets []*ticket) {
	if len(tickets) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	wake := make([]*ward, len(tickets))
	for i, t := range tickets {
		wake[i] = t.w
	}
	h.wake(wake...)
}

// launch runs something beside, unless the host has ended. The host's lock is held.
func (h *Host) launch(f func()) {
	if !h.closed {
		h.crew.do(f)
	}
}

// barrier returns when all that was written before would survive a crash.
func (h *Host) barrier(ctx context.Context) error {
	if err := h.opts.Journal.Wake(ctx, true); err != nil {
		return h.check(ctx, err)
	}
	return nil
}

// check notes that the journal failed. An error of the caller's own is not one.
func (h *Host) check(ctx context.Context, err error) error {
	var missing *journal.NotFoundError
	if ctx.Err() == nil && !errors.As(err, &missing) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.fail(err)
	}
	return err
}

// failed returns why the host can store nothing more, nil while it can.
func (h *Host) failed() error {
	if f := h.broken.Load(); f != nil {
		return f.err
	}
	return nil
}

// fail gives up: what comes now cannot be stored. The host's lock is held.
func (h *Host) fail(err error) {
	if !h.broken.CompareAndSwap(nil, &failure{err}) {
		return
	}
	h.die()
	for _, w := range h.wards {
		if w.state == carried {
			w.runner.poke()
		}
		w.tell(nil, err)
	}
}
