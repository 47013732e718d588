package local

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
)

// A parkNote is what the host wants back at start of a run that waits.
type parkNote struct {
	Holds  []string `json:"holds,omitempty"`  // that keep its calls
	Queued bool     `json:"queued,omitempty"` // it has not begun, because of its flow's concurrency
	Limit  int      `json:"limit,omitempty"`  // of that concurrency
	Reason string   `json:"reason,omitempty"` // why it is stuck
}

func (n parkNote) encode() json.RawMessage {
	body, _ := json.Marshal(n) // strings and numbers
	return body
}

func readNote(body json.RawMessage) (n parkNote) {
	if len(body) > 0 {
		_ = json.Unmarshal(body, &n) // an unreadable note is none
	}
	return n
}

const (
	// A run whose rebuilding takes long stays in memory longer, in case that more is to
	// come: so long for each of its records …
	perRecord = 400 * time.Microsecond
	// … unless that is less than this, …
	leastPatience = 10 * time.Millisecond
	// … and no longer than this.
	mostPatience = time.Minute
)

// mayPark parks the run if it only waits, and for longer than a moment. If it is too early
// for that only because something might still come, tired is when it is not any more.
func (r *runner) mayPark() (parked bool, tired time.Time, err error) {
	stopping := r.h.isStopping()
	if len(r.made) > 0 {
		return false, tired, nil
	}
	now, until := r.now(), r.agenda.next()
	if soon := r.soonest(); until.IsZero() || !soon.IsZero() && soon.Before(until) {
		until = soon
	}
	if !stopping {
		if !until.IsZero() && until.Before(now.Add(r.h.opts.Moment)) {
			return false, tired, nil
		}
		if patience := min(time.Duration(r.records)*perRecord, mostPatience); patience >= leastPatience {
			if tired = r.roused.Add(patience); tired.After(now) {
				return false, tired, nil
			}
		}
	}
	parked, err = r.park(until, stopping)
	return parked, time.Time{}, err
}

// park leaves the run to the journal: what it waits for is stored, its machine is gone.
// Whoever brings something looks for runs under the same lock.
func (r *runner) park(until time.Time, stopping bool) (bool, error) {
	keys := r.open()
	h, w := r.h, r.w
	h.mu.Lock()
	defer h.mu.Unlock()
	if !r.isIdle() {
		return false, nil
	}
	for _, t := range w.tickets {
		if t.granted.Load() && !stopping {
			return false, nil
		}
	}
	note := parkNote{}
	for held := range w.held {
		if held == &h.stop { // it goes on when the host is opened again
			h.drop(r)
			return true, nil
		}
		note.Holds = append(note.Holds, held.key().String())
	}
	slices.Sort(note.Holds)
	waits := &journal.Waits{Until: until, Keys: keys}
	for _, l := range r.subs {
		waits.Subscriptions = append(waits.Subscriptions, l.Subscription)
	}
	if len(note.Holds) > 0 {
		waits.Note = note.encode()
	}
	c := journal.Change{Status: string(host.Waiting), Waits: waits}
	if err := h.opts.Journal.Write(context.Background(), r.id, false, c); err != nil {
		return false, &storeError{fmt.Errorf("store what the run waits for: %w", err)}
	}
	for _, l := range r.lines {
		l.keep()
	}
	h.resolve(w, r.m)
	w.runner, w.state, w.subs, w.keys = nil, parked, waits.Subscriptions, keys
	w.naps++
	h.timers.set(w, until)
	h.ring()
	h.idle()
	return true, nil
}

// keep remembers what the calls of a line have passed.
func (l *line) keep() {
	for _, c := range l.calls {
		if c.at < len(c.call.Limits)-1 {
			if l.r.w.passed == nil {
				l.r.w.passed = map[string]int{}
			}
			l.r.w.passed[c.call.Key] = c.at
		}
	}
}
