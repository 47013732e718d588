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

// A hold keeps calls from being taken up. Guarded by the host's mu.
type hold struct {
	host.Hold
	version    string             // Auto: of the refused credentials, once it is known
	probeAfter time.Duration      // Auto: how long until the connection is probed; 0: its credentials were refused
	probe      bool               // one call may pass as a probe
	checking   bool               // Auto: the first look-up of the connection has not ended yet
	unwatch    func()             // ends watchHold; nil: it is not watched
	runs       map[*activeRun]int // how many held calls each has
}

const holdNoteKind = "hold"

// Pause implements host.Host.
func (h *Host) Pause(ctx context.Context, scope host.Scope, name, reason string) error {
	if err := scope.Check(name); err != nil {
		return err
	}
	h.pauseMu.Lock()
	defer h.pauseMu.Unlock()
	held := &hold{Hold: host.Hold{Scope: scope, Name: name, Reason: reason, Since: h.now()}}
	if err := h.storeHold(ctx, held); err != nil {
		return err
	}
	h.admitMu.Lock()
	defer h.admitMu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if current := h.holds[held.Key()]; current != nil {
		current.Reason, current.Since = reason, held.Since
		return nil
	}
	h.addHold(held)
	return nil
}

// Resume implements host.Host.
func (h *Host) Resume(ctx context.Context, scope host.Scope, name string) error {
	h.pauseMu.Lock()
	defer h.pauseMu.Unlock()
	found := false
	for _, auto := range []bool{false, true} {
		hold := host.Hold{Scope: scope, Name: name, Auto: auto}
		key := hold.Key()
		h.mu.Lock()
		held := h.holds[key]
		h.mu.Unlock()
		if held == nil {
			continue
		}
		found = true
		if err := h.opts.Journal.Note(ctx, holdNoteKind, key, nil); err != nil {
			return h.check(ctx, err)
		}
		h.mu.Lock()
		h.liftHold(held)
		h.mu.Unlock()
	}
	if !found {
		return host.NoHold(scope, name)
	}
	return nil
}

// Holds implements host.Host.
func (h *Host) Holds(context.Context) ([]host.Hold, error) {
	out := h.limits.activeSlowdowns(h.now())
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range h.holds {
		shown := held.Hold
		for _, n := range held.runs {
			shown.Calls += n
		}
		out = append(out, shown)
	}
	slices.SortFunc(out, func(a, b host.Hold) int { return a.Compare(&b) })
	return out, nil
}

func (h *Host) storeHold(ctx context.Context, held *hold) error {
	body, err := json.Marshal(held.Stored(held.version))
	if err != nil {
		return err
	}
	if err := h.opts.Journal.Note(ctx, holdNoteKind, held.Key(), body); err != nil {
		return h.check(ctx, fmt.Errorf("store the hold: %w", err))
	}
	return nil
}

// addHold begins a hold. The caller holds h.mu.
func (h *Host) addHold(held *hold) {
	held.runs = map[*activeRun]int{}
	h.holds[held.Key()] = held
	h.holdCount.Add(1)
	h.notifyHold(held, false)
}

// liftHold ends a hold and wakes the runs whose calls it held. The caller holds h.mu.
func (h *Host) liftHold(held *hold) {
	if h.holds[held.Key()] != held {
		return
	}
	delete(h.holds, held.Key())
	h.holdCount.Add(-1)
	if held.unwatch != nil {
		held.unwatch()
	}
	h.wakeHeld(held, -1)
	h.notifyHold(held, true)
}

// wakeHeld wakes at most so many of the runs with held calls, all if most is negative.
func (h *Host) wakeHeld(held *hold, most int) {
	var wake []*activeRun
	for run := range held.runs {
		if most == 0 {
			break
		}
		if run.state == stateRunning || run.state == stateParked {
			wake = append(wake, run)
			most--
		}
	}
	h.wake(wake...)
}

func (h *Host) notifyHold(held *hold, lifted bool) {
	if h.opts.OnHold != nil && !held.checking {
		h.opts.OnHold(held.Hold, lifted)
	}
}

// holdCall tells whether a call is held, and records that it is.
func (h *Host) holdCall(run *activeRun, c *call.Call) bool {
	if h.holdCount.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.holdFor(run.flow, c)
	if held == nil {
		return false
	}
	if held.probe {
		held.probe = false
		return false
	}
	if run.holds == nil {
		run.holds = map[*hold]int{}
	}
	run.holds[held]++
	if held.runs != nil {
		held.runs[run]++
	}
	return true
}

// holdFor returns the hold that covers a call, nil for none. The caller holds h.mu.
func (h *Host) holdFor(flow string, c *call.Call) *hold {
	if h.stopping {
		return &h.stopHold
	}
	for _, held := range h.holds {
		if held.Covers(flow, c) {
			return held
		}
	}
	return nil
}

// isPaused tells whether a person has paused a call. The host's own holds do not count: a call
// that was taken up in spite of them may be the probe.
func (h *Host) isPaused(flow string, c *call.Call) bool {
	if h.holdCount.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, held := range h.holds {
		if !held.Auto && held.Covers(flow, c) {
			return true
		}
	}
	return false
}

// releaseHeld tells whether one of the holds of a run was lifted, or lets a probe pass. Then all
// its held calls are to be tried again.
func (h *Host) releaseHeld(run *activeRun) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for held := range run.holds {
		if held.probe || held != &h.stopHold && h.holds[held.Key()] != held {
			h.clearHolds(run)
			return true
		}
	}
	return false
}

// clearHolds forgets the holds of a run's calls. The caller holds h.mu.
func (h *Host) clearHolds(run *activeRun) {
	for held := range run.holds {
		delete(held.runs, run)
	}
	run.holds = nil
}

// whyHeld tells people why a call is held back, and until when.
func (h *Host) whyHeld(run *activeRun, c *call.Call, limits []call.Limit) (reason string, until time.Time, waits bool) {
	h.mu.Lock()
	held := h.holdFor(run.flow, c)
	if held != nil {
		defer h.mu.Unlock()
		if held == &h.stopHold {
			return "the host is stopping, and continues it when it starts again", time.Time{}, true
		}
		return held.Why(), time.Time{}, true
	}
	h.mu.Unlock()
	for _, limit := range limits {
		if reason, until, waits := h.limits.explainWait(run, limit, h.now()); waits {
			return reason, until, true
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if run.state == stateParked { // since before the host was opened: it will queue again at its time
		return "it waits for its turn", run.until, true
	}
	return "", time.Time{}, false
}
