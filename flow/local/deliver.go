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
	maxFiring = 64          // events at the same time that Fire is told of
	firePause = time.Second // until it is told again after an error …
	fireLimit = time.Minute // … and how far that grows
)

// Deliver implements host.Host.
//
// Events that are there already are dropped. Fresh ones are stored together and, in the same
// write, that the parked runs that wait for them are awake; which runs those are is looked
// up before and, as runs come and go, once more after.
func (h *Host) Deliver(ctx context.Context, events ...host.Event) error {
	if err := h.failed(); err != nil {
		return err
	}
	letters := make([]letter, len(events))
	for i, e := range events {
		letters[i] = h.letter(e)
	}
	var wake []string
	woken := map[*ward]uint32{}
	h.mu.Lock()
	for i := range letters {
		l := &letters[i]
		h.listeners(&l.event, l.subjects, func(w *ward, since time.Time) {
			l.awaited = true
			if _, known := woken[w]; w.state == parked && !known {
				wake = append(wake, w.id)
				woken[w] = w.naps
			}
			if since.After(l.event.At) { // what comes now is not earlier, whatever a clock says that was put back
				l.event.At = since
			}
		})
	}
	h.mu.Unlock()
	form := make([]journal.Event, len(letters))
	for i := range letters {
		var err error
		if form[i], err = h.storeEvent(letters[i].event, letters[i].subjects); err != nil {
			return err
		}
		form[i].Done = !letters[i].awaited && !h.fires(letters[i].event)
	}
	fresh, err := h.opts.Journal.Deliver(ctx, form, wake)
	if err != nil {
		return h.check(ctx, fmt.Errorf("store an event: %w", err))
	}
	late := false
	h.mu.Lock()
	for i := range letters {
		if fresh[i] {
			late = h.present(&hearing{event: letters[i].event, done: form[i].Done}, letters[i].subjects, woken) || late
		}
	}
	if slices.Contains(fresh, false) {
		h.lookAgain(woken)
	}
	h.mu.Unlock()
	if late {
		return h.barrier(ctx)
	}
	return nil
}

// A letter is an event on its way to runs.
type letter struct {
	event    host.Event
	subjects []string // hashed
	awaited  bool     // somebody waits for it, and is to have it also after a crash
}

func (h *Host) letter(e host.Event) letter {
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
	return letter{event: e, subjects: subjects}
}

// lookAgain lets runs look around that the journal has awake for an event that it had
// already: it finds them waiting again after that. The host's lock is held.
func (h *Host) lookAgain(woken map[*ward]uint32) {
	var since []*ward // have been up, and were put down before the journal woke them, or after
	for w, naps := range woken {
		if w.naps != naps {
			since = append(since, w)
			continue
		}
		h.enqueue(w)
	}
	h.wake(since...)
	h.dispatch()
}

// present brings an event that is stored to those that wait for it now. Of the parked
// ones, those in woken are awake in the journal too; it tells whether there were others.
// The host's lock is held.
func (h *Host) present(heard *hearing, subjects []string, woken map[*ward]uint32) (late bool) {
	var wake []*ward
	h.listeners(&heard.event, subjects, func(w *ward, _ time.Time) {
		heard.by(w)
		switch w.state {
		case carried:
			w.runner.offer(&heard.event, subjects)
		case parked:
			if naps, ok := woken[w]; ok && naps == w.naps {
				h.enqueue(w)
				return
			}
			wake = append(wake, w)
		}
	})
	if len(wake) > 0 {
		h.wake(wake...)
	}
	h.dispatch()
	if heard.left == 0 {
		h.fire(heard)
	}
	return len(wake) > 0
}

// listeners calls f for each run that waits for an event, once. f must not change who
// waits. The host's lock is held.
func (h *Host) listeners(e *host.Event, subjects []string, f func(w *ward, since time.Time)) {
	h.searches++
	for _, subject := range subjects {
		for _, w := range h.topics[topic{e.Name, subject}] {
			if w.mark == h.searches {
				continue
			}
			w.mark = h.searches
			if since, any := w.listens(e, subjects); any {
				f(w, since)
			}
		}
	}
}

// A hearing is an event of which those that wait for it have not had their say yet. The
// host's lock guards it.
type hearing struct {
	event   host.Event
	left    int // runs
	claimed bool
	done    bool // nobody is to be told what they said
}

func (g *hearing) by(w *ward) {
	g.left++
	w.hearings = append(w.hearings, g)
}

// resolve ends the hearings of a run. m is nil when it said nothing. The host's lock is
// held.
func (h *Host) resolve(w *ward, m *machine.Machine) {
	for _, g := range w.hearings {
		if m != nil && m.Consumed(g.event.ID) {
			g.claimed = true
		}
		if g.left--; g.left == 0 {
			h.fire(g)
		}
	}
	w.hearings = nil
}

// fires tells whether somebody is told of an event in the end. Of most nobody is, and if nobody
// waits for them either they are stored as done with.
func (h *Host) fires(e host.Event) bool {
	return h.serves && h.opts.Fire != nil && (h.opts.Fires == nil || h.opts.Fires(e))
}

// fire tells of an event that all have heard. The host's lock is held.
func (h *Host) fire(g *hearing) {
	if g.done {
		return
	}
	h.launch(func() {
		for pause := firePause; ; pause = min(2*pause, fireLimit) {
			if h.fired(g) {
				return
			}
			if h.opts.Clock.Wait(h.life, h.now().Add(pause), nil) != nil {
				return // it is open, and found when the host is opened again
			}
		}
	})
}

func (h *Host) fired(g *hearing) bool {
	if h.fires(g.event) {
		select {
		case h.firing <- struct{}{}:
		case <-h.life.Done():
			return false
		}
		defer func() { <-h.firing }()
		if err := h.opts.Fire(h.life, g.event, g.claimed); err != nil {
			return false
		}
	}
	return h.opts.Journal.Done(context.Background(), g.event.ID) == nil
}
