package local

import (
	"slices"
	"time"

	"facteur/flow/machine"
)

// A waitingCall is a call that is not taken up yet. It passes its limits from the last, which is
// the narrowest, down to the first.
type waitingCall struct {
	call      *machine.Call
	nextLimit int // index of the limit to pass next; -1: none is left
	// Its connection was looked up, with whatever result: the call itself reports an error.
	checkedConnection bool
	delayed           bool // by Options.Hold
}

// A callQueue holds the calls of one run that wait for one bucket. Only the first has a waiter,
// so that the runs that share a bucket take turns.
type callQueue struct {
	r      *runner
	waiter *waiter
	seq    int64 // order among the run's queues
	calls  []waitingCall
}

// admit checks the holds and limits of a call, and tells whether it may be taken up. Otherwise
// it is kept for recheck.
func (r *runner) admit(c waitingCall) bool {
	if at, ok := r.run.nextLimits[c.call.Key]; ok { // from before the run was parked
		delete(r.run.nextLimits, c.call.Key)
		c.nextLimit = min(c.nextLimit, at)
	}
	if hold := r.h.opts.Hold; hold != nil && !c.delayed {
		c.delayed = true
		if d := hold(c.call.Step, c.call.Attempt); d > 0 {
			r.admitAfter(d, c)
			return false
		}
	}
	if !r.foreground {
		held := r.h.holdCall(r.run, &c.call.Call)
		if !held && !c.checkedConnection && !r.h.isResolved(c.call.Connection) {
			c.checkedConnection = true
			held = r.h.holdCall(r.run, &c.call.Call)
		}
		if held {
			r.held = append(r.held, c)
			return false
		}
	}
	for ; c.nextLimit >= 0; c.nextLimit-- {
		limit := c.call.Limits[c.nextLimit]
		if q := r.callQueues[limit.Key]; q != nil {
			q.calls = append(q.calls, c)
			return false
		}
		w := r.run.waiters[limit.Key]
		switch {
		case w == nil:
			w = r.h.limits.acquire(r.run, limit, r.now())
		case w.granted.Load():
			delete(r.run.waiters, limit.Key)
			w = nil
		}
		if w != nil {
			r.startQueue(w, c)
			return false
		}
	}
	return true
}

// admitAfter admits a call later.
func (r *runner) admitAfter(d time.Duration, c waitingCall) {
	r.schedule(r.now().Add(d), c.call, func() error {
		r.h.admitMu.RLock()
		defer r.h.admitMu.RUnlock()
		return r.readmit(c)
	})
}

// startQueue makes a callQueue for a new waiter.
func (r *runner) startQueue(w *waiter, calls ...waitingCall) {
	if r.callQueues == nil {
		r.callQueues = map[string]*callQueue{}
	}
	if r.run.waiters == nil {
		r.run.waiters = map[string]*waiter{}
	}
	r.nextSeq++
	q := &callQueue{r, w, r.nextSeq, calls}
	r.callQueues[w.key], r.run.waiters[w.key] = q, w
	if r.foreground {
		q.scheduleGrant()
	} else {
		r.h.scheduleGrant(w.bucket)
	}
}

// recheck takes up the waiting calls that nothing holds back any more.
func (r *runner) recheck() error {
	r.h.admitMu.RLock()
	defer r.h.admitMu.RUnlock()
	if len(r.held) > 0 && r.h.releaseHeld(r.run) {
		calls := r.held
		r.held = nil
		if err := r.readmit(calls...); err != nil {
			return err
		}
	}
	var granted []*callQueue
	for _, q := range r.callQueues {
		if q.waiter.granted.Load() || !q.wanted() {
			granted = append(granted, q)
		}
	}
	slices.SortFunc(granted, func(a, b *callQueue) int { return int(a.seq - b.seq) })
	for _, q := range granted {
		if err := q.proceed(); err != nil {
			return err
		}
	}
	return nil
}

// readmit takes up those of the calls that nothing holds back any more.
func (r *runner) readmit(calls ...waitingCall) error {
	var ready []*machine.Call
	for _, c := range calls {
		if r.m.Wants(c.call) && r.admit(c) {
			ready = append(ready, c.call)
		}
	}
	return r.takeUp(ready...)
}

// proceed ends a queue whose first call was granted a token, or whose calls are all unwanted.
// The calls after the first queue anew.
func (q *callQueue) proceed() error {
	r := q.r
	delete(r.callQueues, q.waiter.key)
	delete(r.run.waiters, q.waiter.key)
	wanted := q.wanted()
	calls := q.calls
	q.calls = nil
	if !wanted || !q.waiter.granted.Load() {
		r.h.limits.release(q.waiter, r.now())
		return r.readmit(calls...)
	}
	limit := calls[0].call.Limits[calls[0].nextLimit]
	var ready []*machine.Call
	for i := range calls {
		c := calls[i]
		if !r.m.Wants(c.call) {
			continue
		}
		if i > 0 {
			if w := r.h.limits.acquire(r.run, limit, r.now()); w != nil {
				r.startQueue(w, calls[i:]...)
				break
			}
		}
		if c.nextLimit--; r.admit(c) {
			ready = append(ready, c.call)
		}
	}
	return r.takeUp(ready...)
}

// wanted drops unwanted calls from the front, and tells whether one is left.
func (q *callQueue) wanted() bool {
	for len(q.calls) > 0 && !q.r.m.Wants(q.calls[0].call) {
		q.calls[0] = waitingCall{}
		q.calls = q.calls[1:]
	}
	return len(q.calls) > 0
}

// scheduleGrant grants tokens in a foreground host, which has no timerLoop for that.
func (q *callQueue) scheduleGrant() {
	r, b := q.r, q.waiter.bucket
	r.jobs.add(r.h.limits.nextFree(b, r.now()), q.wanted, func() error {
		r.h.wakeGranted(r.h.limits.grant(b, r.now()))
		if q.waiter.granted.Load() {
			return q.proceed()
		}
		q.scheduleGrant()
		return nil
	})
}

// nextGrant returns when the first of the queues expects a token, zero without queues.
func (r *runner) nextGrant() (at time.Time) {
	for _, q := range r.callQueues {
		if t := r.h.limits.expectedGrant(q.waiter, r.now()); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// releaseStaleWaiters releases the waiters from before the run was parked whose limits it does
// not wait for any more.
func (r *runner) releaseStaleWaiters() {
	if len(r.run.waiters) == len(r.callQueues) {
		return
	}
	for key, w := range r.run.waiters {
		if r.callQueues[key] == nil {
			delete(r.run.waiters, key)
			r.h.limits.release(w, r.now())
		}
	}
}

// releaseWaiters releases all waiters of the run.
func (r *runner) releaseWaiters() {
	for _, w := range r.run.waiters {
		r.h.limits.release(w, r.now())
	}
	r.run.waiters = nil
}
