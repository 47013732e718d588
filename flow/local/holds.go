package local

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// A hold keeps calls from being taken up. The host's lock guards it.
type hold struct {
	host.Hold
	version string        // Auto: of the credentials that were refused, once it is known
	pause   time.Duration // Auto, because nothing could be resolved: until that is tried again
	probe   bool          // one call may pass, to see
	asking  bool          // Auto: it is not known yet whether there is anything to hold for
	done    chan struct{} // closed when it is lifted
	wards   map[*ward]int // how many calls of each it keeps
}

const holdNotes = "hold"

// Pause implements host.Host.
func (h *Host) Pause(ctx context.Context, scope host.Scope, name, reason string) error {
	if err := scope.Check(name); err != nil {
		return err
	}
	h.pausing.Lock()
	defer h.pausing.Unlock()
	one := &hold{Hold: host.Hold{Scope: scope, Name: name, Reason: reason, Since: h.now()}}
	if err := h.noteHold(ctx, one); err != nil {
		return err
	}
	h.admitting.Lock()
	defer h.admitting.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if before := h.holds[one.Key()]; before != nil {
		before.Reason, before.Since = reason, one.Since
		return nil
	}
	h.setHold(one)
	return nil
}

// Resume implements host.Host.
func (h *Host) Resume(ctx context.Context, scope host.Scope, name string) error {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	found := false
	for _, auto := range []bool{false, true} {
		hold := host.Hold{Scope: scope, Name: name, Auto: auto}
		key := hold.Key()
		h.mu.Lock()
		one := h.holds[key]
		h.mu.Unlock()
		if one == nil {
			continue
		}
		found = true
		if err := h.opts.Journal.Note(ctx, holdNotes, key, nil); err != nil {
			return h.check(ctx, err)
		}
		h.mu.Lock()
		h.liftHold(one)
		h.mu.Unlock()
	}
	if !found {
		return host.NoHold(scope, name)
	}
	return nil
}

// Holds implements host.Host.
func (h *Host) Holds(context.Context) ([]host.Hold, error) {
	out := h.limits.slowdowns(h.now())
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.holds {
		shown := one.Hold
		for _, n := range one.wards {
			shown.Calls += n
		}
		out = append(out, shown)
	}
	slices.SortFunc(out, func(a, b host.Hold) int { return a.Compare(&b) })
	return out, nil
}

func (h *Host) noteHold(ctx context.Context, one *hold) error {
	body, err := json.Marshal(one.Stored(one.version))
	if err != nil {
		return err
	}
	if err := h.opts.Journal.Note(ctx, holdNotes, one.Key(), body); err != nil {
		return h.check(ctx, fmt.Errorf("store the hold: %w", err))
	}
	return nil
}

// setHold begins a hold. The host's lock is held.
func (h *Host) setHold(one *hold) {
	one.done, one.wards = make(chan struct{}), map[*ward]int{}
	h.holds[one.Key()] = one
	h.pauses.Add(1)
	h.tellHold(one, false)
}

// liftHold ends a hold, and lets go on what it kept. The host's lock is held.
func (h *Host) liftHold(one *hold) {
	if h.holds[one.Key()] != one {
		return
	}
	delete(h.holds, one.Key())
	h.pauses.Add(-1)
	close(one.done)
	h.letOn(one, -1)
	h.tellHold(one, true)
}

// letOn lets runs go on that a hold keeps, at most so many; a negative number is all.
func (h *Host) letOn(one *hold, most int) {
	var wake []*ward
	for w := range one.wards {
		if most == 0 {
			break
		}
		if w.state == carried || w.state == parked {
			wake = append(wake, w)
			most--
		}
	}
	h.wake(wake...)
}

func (h *Host) tellHold(one *hold, lifted bool) {
	if h.opts.OnHold != nil && !one.asking {
		h.opts.OnHold(one.Hold, lifted)
	}
}

// holdsBack tells whether a call has to wait for a hold, and notes that it does.
func (h *Host) holdsBack(w *ward, c *call.Call) bool {
	if h.pauses.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.holdOn(w.flow, c)
	if one == nil {
		return false
	}
	if one.probe {
		one.probe = false
		return false
	}
	if w.held == nil {
		w.held = map[*hold]int{}
	}
	w.held[one]++
	if one.wards != nil {
		one.wards[w]++
	}
	return true
}

// holdOn returns what keeps a call, nil when nothing does. The host's lock is held.
func (h *Host) holdOn(flow string, c *call.Call) *hold {
	if h.stopping {
		return &h.stop
	}
	for _, one := range h.holds {
		if one.Keeps(flow, c) {
			return one
		}
	}
	return nil
}

// isPaused tells whether somebody has paused what a call is about. What the host holds back by
// itself does not count: a call that is under way may be the one that was let through, to see.
func (h *Host) isPaused(flow string, c *call.Call) bool {
	if h.pauses.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.holds {
		if !one.Auto && one.Keeps(flow, c) {
			return true
		}
	}
	return false
}

// lifted tells whether calls of a run that were held may go on now, all of which are to
// be tried then.
func (h *Host) lifted(w *ward) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one := range w.held {
		if one.probe || one != &h.stop && h.holds[one.Key()] != one {
			h.unhold(w)
			return true
		}
	}
	return false
}

// unhold forgets what keeps the calls of a run. The host's lock is held.
func (h *Host) unhold(w *ward) {
	for one := range w.held {
		delete(one.wards, w)
	}
	w.held = nil
}

// whyHeld tells for people why a call waits, and until when.
func (h *Host) whyHeld(w *ward, c *call.Call, limits []call.Limit) (reason string, until time.Time, held bool) {
	h.mu.Lock()
	one := h.holdOn(w.flow, c)
	if one != nil {
		defer h.mu.Unlock()
		if one == &h.stop {
			return "the host stops, and goes on with it when it starts again", time.Time{}, true
		}
		return one.Why(), time.Time{}, true
	}
	h.mu.Unlock()
	for _, limit := range limits {
		if reason, until, waits := h.limits.waits(w, limit, h.now()); waits {
			return reason, until, true
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.state == parked { // by a host before this one: it queues again when its time comes
		return "it waits for its turn", w.until, true
	}
	return "", time.Time{}, false
}
