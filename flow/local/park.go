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

// letGo lets go of a run that has nothing to do: it is parked, or stays in memory until
// somebody brings something, or its time comes. The host's lock is held.
func (r *runner) letGo() (gone bool, err error) {
	h, w := r.h, r.w
	if !r.isIdle(false) {
		return false, nil
	}
	h.resolve(w, r.m) // the events that it was offered had their say
	h.timers.remove(w)
	next := r.agenda.next()
	until := next
	if soon := r.soonest(); until.IsZero() || !soon.IsZero() && soon.Before(until) {
		until = soon
	}
	may, tired := r.mayPark(until)
	if may {
		if parked, err := r.park(until); parked || err != nil {
			return true, err
		}
	}
	if next.IsZero() || !tired.IsZero() && tired.Before(next) {
		next = tired
	}
	h.expect(w, next)
	return r.isIdle(true), nil
}

// mayPark tells whether a run may be parked that waits until then, because it only waits,
// and for longer than a moment. If it is too early for that only because something might
// still come, tired is when it is not any more.
func (r *runner) mayPark(until time.Time) (may bool, tired time.Time) {
	switch patience := min(time.Duration(r.records)*perRecord, mostPatience); {
	case len(r.made) > 0:
		return false, tired
	case r.h.stopping:
		return true, tired
	case !until.IsZero() && until.Before(r.now().Add(r.h.opts.Moment)):
		return false, tired
	case patience >= leastPatience && r.roused.Add(patience).After(r.now()):
		return false, r.roused.Add(patience)
	}
	return true, tired
}

// park leaves the run to the journal: what it waits for is stored, its machine is gone.
// Whoever brings something looks for runs under the same lock, which is held.
func (r *runner) park(until time.Time) (bool, error) {
	h, w, keys := r.h, r.w, host.Open(r.m)
	for _, t := range w.tickets {
		if t.granted.Load() && !h.stopping {
			return false, nil
		}
	}
	note := parkNote{}
	for held := range w.held {
		if held == &h.stop { // it goes on when the host is opened again
			h.drop(r)
			return true, nil
		}
		note.Holds = append(note.Holds, held.Key())
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
	h.expect(w, until)
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
