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

// A waitNote is stored with what a run waits for, for the next host.
type waitNote struct {
	Holds  []string `json:"holds,omitempty"`  // keys of the holds that keep its calls
	Queued bool     `json:"queued,omitempty"` // behind other runs, by its flow's concurrency
	Limit  int      `json:"limit,omitempty"`  // that concurrency allows
	Reason string   `json:"reason,omitempty"` // why it is stuck
}

func (n waitNote) encode() json.RawMessage {
	body, _ := json.Marshal(n) // cannot fail: strings and numbers
	return body
}

// queuedWaits is what a queued run waits for.
func queuedWaits(limit int) *journal.Waits {
	return &journal.Waits{Note: waitNote{Queued: true, Limit: limit}.encode()}
}

func decodeNote(body json.RawMessage) (n waitNote) {
	if len(body) > 0 {
		_ = json.Unmarshal(body, &n) // an unreadable note counts as empty
	}
	return n
}

const (
	// A run that is expensive to rebuild stays in memory longer after its last activity: so long
	// for each of its records …
	patiencePerRecord = 400 * time.Microsecond
	// … if that is at least this, …
	minPatience = 10 * time.Millisecond
	// … and at most this.
	maxPatience = time.Minute
)

// yield ends the loop of an idle run: it is parked, or stays in memory until a message comes or
// its time does. The caller holds h.mu.
func (r *runner) yield() (gone bool, err error) {
	h, run := r.h, r.run
	if !r.inbox.isIdle(false) {
		return false, nil
	}
	h.resolveDeliveries(run, r.m) // it has decided on the events that it was offered
	h.timers.remove(run)
	next := r.jobs.next()
	until := next
	if grant := r.nextGrant(); until.IsZero() || !grant.IsZero() && grant.Before(until) {
		until = grant
	}
	mayPark, retryAt := r.mayPark(until)
	if mayPark {
		if parked, err := r.park(until); parked || err != nil {
			return true, err
		}
	}
	if next.IsZero() || !retryAt.IsZero() && retryAt.Before(next) {
		next = retryAt
	}
	h.setTimer(run, next)
	return r.inbox.isIdle(true), nil
}

// mayPark tells whether a run that is idle until then may be parked: it has no call in flight,
// and time enough. retryAt is when it may be if only recent activity speaks against it.
func (r *runner) mayPark(until time.Time) (ok bool, retryAt time.Time) {
	switch patience := min(time.Duration(r.storedRecords)*patiencePerRecord, maxPatience); {
	case len(r.inFlight) > 0:
		return false, retryAt
	case r.h.stopping:
		return true, retryAt
	case !until.IsZero() && until.Before(r.now().Add(r.h.opts.MinParkTime)):
		return false, retryAt
	case patience >= minPatience && r.lastActivity.Add(patience).After(r.now()):
		return false, r.lastActivity.Add(patience)
	}
	return true, retryAt
}

// park stores what the run waits for and drops its machine. The caller holds h.mu, under which
// events, receipts and timers look for runs.
func (r *runner) park(until time.Time) (bool, error) {
	h, run, keys := r.h, r.run, host.OpenCalls(r.m)
	for _, w := range run.waiters {
		if w.granted.Load() && !h.stopping {
			return false, nil
		}
	}
	note := waitNote{}
	for held := range run.holds {
		if held == &h.stopHold { // the next host goes on with it
			h.leaveUnfinished(r)
			return true, nil
		}
		note.Holds = append(note.Holds, held.Key())
	}
	slices.Sort(note.Holds)
	waits := &journal.Waits{Until: until, Keys: keys}
	for _, sub := range r.subs {
		waits.Subscriptions = append(waits.Subscriptions, sub.Subscription)
	}
	if len(note.Holds) > 0 {
		waits.Note = note.encode()
	}
	c := journal.Change{Status: string(host.Waiting), Waits: waits}
	if err := h.opts.Journal.Write(context.Background(), r.run.id, false, c); err != nil {
		return false, &storeError{fmt.Errorf("store what the run waits for: %w", err)}
	}
	for _, q := range r.callQueues {
		q.rememberLimits()
	}
	h.resolveDeliveries(run, r.m)
	run.runner, run.state, run.subs, run.receiptKeys = nil, stateParked, waits.Subscriptions, keys
	run.parkCount++
	h.setTimer(run, until)
	h.freeWorker()
	return true, nil
}

// rememberLimits keeps how far the queued calls came through their limits.
func (q *callQueue) rememberLimits() {
	for _, c := range q.calls {
		if c.nextLimit < len(c.call.Limits)-1 {
			if q.r.run.nextLimits == nil {
				q.r.run.nextLimits = map[string]int{}
			}
			q.r.run.nextLimits[c.call.Key] = c.nextLimit
		}
	}
}
