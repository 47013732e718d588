package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
)

const (
	maxFiring      = 64          // events for which Fire runs at the same time
	minFireBackoff = time.Second // until Fire is tried again after an error …
	maxFireBackoff = time.Minute // … and how far that grows
)

// Deliver implements host.Host.
//
// Events that are stored already are dropped. New ones are stored in one write, which also
// wakes the parked runs that wait for them. These runs are looked up before the write and,
// because runs are parked and woken meanwhile, once more after it.
func (h *Host) Deliver(ctx context.Context, events ...host.Event) error {
	if err := h.failed(); err != nil {
		return err
	}
	inbound := make([]inboundEvent, len(events))
	for i, e := range events {
		inbound[i] = h.inbound(e)
	}
	var wake []string
	woken := map[*activeRun]uint32{}
	h.mu.Lock()
	for i := range inbound {
		in := &inbound[i]
		h.eachSubscriber(&in.event, in.subjects, func(run *activeRun, since time.Time) {
			in.awaited = true
			if _, known := woken[run]; run.state == stateParked && !known {
				wake = append(wake, run.id)
				woken[run] = run.parkCount
			}
			if since.After(in.event.At) { // the event comes now; the clock may have been put back
				in.event.At = since
			}
		})
	}
	h.mu.Unlock()
	stored := make([]journal.Event, len(inbound))
	for i := range inbound {
		var err error
		if stored[i], err = h.storeEvent(inbound[i].event, inbound[i].subjects); err != nil {
			return err
		}
		stored[i].Done = !inbound[i].awaited && !h.mayFire(inbound[i].event)
	}
	fresh, err := h.opts.Journal.Deliver(ctx, stored, wake)
	if err != nil {
		return h.check(ctx, fmt.Errorf("store an event: %w", err))
	}
	late := false
	h.mu.Lock()
	for i := range inbound {
		if fresh[i] {
			late = h.distribute(&delivery{event: inbound[i].event, done: stored[i].Done}, inbound[i].subjects, woken) || late
		}
	}
	if slices.Contains(fresh, false) {
		h.rewake(woken)
	}
	h.mu.Unlock()
	if late {
		return h.barrier(ctx)
	}
	return nil
}

// An inboundEvent is an event that Deliver is about to store.
type inboundEvent struct {
	event    host.Event
	subjects []string // hashed
	awaited  bool     // a run waits for it, and must get it even after a crash
}

func (h *Host) inbound(e host.Event) inboundEvent {
	if e.At.IsZero() {
		e.At = h.now()
	}
	if e.ID == "" {
		e.ID = newID(h.now())
	}
	subjects := make([]string, len(e.Subjects))
	for i, s := range e.Subjects {
		subjects[i] = h.hash(s)
	}
	return inboundEvent{event: e, subjects: subjects}
}

// rewake wakes runs that the journal has as running because an event that it had already
// was delivered again. They find that they still wait. The caller holds h.mu.
func (h *Host) rewake(woken map[*activeRun]uint32) {
	var reparked []*activeRun // were parked anew, before or after the journal woke them
	for run, count := range woken {
		if run.parkCount != count {
			reparked = append(reparked, run)
			continue
		}
		h.enqueue(run)
	}
	h.wake(reparked...)
	h.dispatch()
}

// distribute offers a stored event to the runs that wait for it now. Parked runs in woken are
// running in the journal already; the others are woken here, and late says that there were
// some. The caller holds h.mu.
func (h *Host) distribute(d *delivery, subjects []string, woken map[*activeRun]uint32) (late bool) {
	var wake []*activeRun
	h.eachSubscriber(&d.event, subjects, func(run *activeRun, _ time.Time) {
		d.add(run)
		switch run.state {
		case stateRunning:
			run.runner.offer(&d.event, subjects)
		case stateParked:
			if count, ok := woken[run]; ok && count == run.parkCount {
				h.enqueue(run)
				return
			}
			wake = append(wake, run)
		}
	})
	if len(wake) > 0 {
		h.wake(wake...)
	}
	h.dispatch()
	if d.pending == 0 {
		h.fire(d)
	}
	return len(wake) > 0
}

// eachSubscriber calls f once for each run that waits for an event. f must not change
// subscriptions. The caller holds h.mu.
func (h *Host) eachSubscriber(e *host.Event, subjects []string, f func(run *activeRun, since time.Time)) {
	h.searchCount++
	for _, subject := range subjects {
		for _, run := range h.topics[topic{e.Name, subject}] {
			if run.lastSearch == h.searchCount {
				continue
			}
			run.lastSearch = h.searchCount
			if since, any := run.subscribedTo(e, subjects); any {
				f(run, since)
			}
		}
	}
}

// A delivery tracks the runs that were offered an event and have not yet decided whether
// they consume it. When none is left, Fire is called. Guarded by the host's mu.
type delivery struct {
	event   host.Event
	pending int // runs
	claimed bool
	done    bool // nothing is left to do: it was stored as done
}

func (d *delivery) add(run *activeRun) {
	d.pending++
	run.deliveries = append(run.deliveries, d)
}

// resolveDeliveries counts a run as decided in its deliveries. m is nil if it cannot decide any
// more. The caller holds h.mu.
func (h *Host) resolveDeliveries(run *activeRun, m *machine.Machine) {
	for _, d := range run.deliveries {
		if m != nil && m.Consumed(d.event.ID) {
			d.claimed = true
		}
		if d.pending--; d.pending == 0 {
			h.fire(d)
		}
	}
	run.deliveries = nil
}

// mayFire tells whether Fire may do something with an event. Most events have neither that nor
// a run that waits for them: they are stored as done right away.
func (h *Host) mayFire(e host.Event) bool {
	return h.opened && h.opts.Fire != nil && (h.opts.Fires == nil || h.opts.Fires(e))
}

// fire calls Fire in the background once all runs have decided. The caller holds h.mu.
func (h *Host) fire(d *delivery) {
	if d.done {
		return
	}
	h.spawn(func() {
		for pause := minFireBackoff; ; pause = min(2*pause, maxFireBackoff) {
			if h.tryFire(d) {
				return
			}
			if h.opts.Clock.Wait(h.ctx, h.now().Add(pause), nil) != nil {
				return // it is not done in the journal: the next host delivers it again
			}
		}
	})
}

func (h *Host) tryFire(d *delivery) bool {
	if h.mayFire(d.event) {
		select {
		case h.fireSlots <- struct{}{}:
		case <-h.ctx.Done():
			return false
		}
		defer func() { <-h.fireSlots }()
		if err := h.opts.Fire(h.ctx, d.event, d.claimed); err != nil {
			return false
		}
	}
	return h.opts.Journal.MarkDone(context.Background(), d.event.ID) == nil
}
