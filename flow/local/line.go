package local

import (
	"slices"
	"time"

	"facteur/flow/machine"
)

// A waitingCall is one that was not taken up yet. It has passed its limits from the last,
// which is the narrowest, down to one.
type waitingCall struct {
	call *machine.Call
	at   int // in its limits; -1: it has passed all
	// Its connection was asked for, and there was an answer: whatever that was, the call
	// finds out itself.
	asked bool
	kept  bool // it was held back as Options.Hold says
}

// An again tries a call once more at a later time.
type again struct {
	r *runner
	c waitingCall
}

func (a again) wanted() bool { return a.r.m.Wants(a.c.call) }

func (a again) do() error {
	a.r.h.admitting.RLock()
	defer a.r.h.admitting.RUnlock()
	return a.r.readmit(a.c)
}

// A line is the calls of one run that wait for one bucket. Only the first has a ticket,
// so that runs that share a bucket take turns.
type line struct {
	r      *runner
	ticket *ticket
	at     int64 // order among the lines of the run
	calls  []waitingCall
}

// admit leads a call through what holds it back, and tells whether it may be taken up.
// Otherwise it is kept for recheck.
func (r *runner) admit(c waitingCall) bool {
	if at, ok := r.w.passed[c.call.Key]; ok { // before the run was parked
		delete(r.w.passed, c.call.Key)
		c.at = min(c.at, at)
	}
	if hold := r.h.opts.Hold; hold != nil && !c.kept {
		c.kept = true
		if d := hold(c.call.Step, c.call.Attempt); d > 0 {
			r.agenda.add(r.now().Add(d), again{r, c})
			return false
		}
	}
	if !r.stays {
		held := r.h.holdsBack(r.w, &c.call.Call)
		if !held && !c.asked && !r.h.atHand(c.call.Connection) {
			c.asked = true
			held = r.h.holdsBack(r.w, &c.call.Call)
		}
		if held {
			r.held = append(r.held, c)
			return false
		}
	}
	for ; c.at >= 0; c.at-- {
		limit := c.call.Limits[c.at]
		if l := r.lines[limit.Key]; l != nil {
			l.calls = append(l.calls, c)
			return false
		}
		t := r.w.tickets[limit.Key]
		switch {
		case t == nil:
			t = r.h.limits.pass(r.w, limit, r.now())
		case t.granted.Load():
			delete(r.w.tickets, limit.Key)
			t = nil
		}
		if t != nil {
			r.queue(t, c)
			return false
		}
	}
	return true
}

// queue begins a line.
func (r *runner) queue(t *ticket, calls ...waitingCall) {
	if r.lines == nil {
		r.lines = map[string]*line{}
	}
	if r.w.tickets == nil {
		r.w.tickets = map[string]*ticket{}
	}
	r.nextLine++
	l := &line{r, t, r.nextLine, calls}
	r.lines[t.key], r.w.tickets[t.key] = l, t
	if r.stays {
		r.agenda.add(r.h.limits.next(t.b, r.now()), l)
	} else {
		r.h.arm(t.b)
	}
}

// recheck takes up the calls that nothing holds back any more.
func (r *runner) recheck() error {
	r.h.admitting.RLock()
	defer r.h.admitting.RUnlock()
	if len(r.held) > 0 && r.h.lifted(r.w) {
		calls := r.held
		r.held = nil
		if err := r.readmit(calls...); err != nil {
			return err
		}
	}
	var granted []*line
	for _, l := range r.lines {
		if l.ticket.granted.Load() || !l.wanted() {
			granted = append(granted, l)
		}
	}
	slices.SortFunc(granted, func(a, b *line) int { return int(a.at - b.at) })
	for _, l := range granted {
		if err := l.proceed(); err != nil {
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
	return r.start(ready...)
}

// proceed ends a line whose first call has got its place, or that nobody stands in any
// more. Those after it queue anew.
func (l *line) proceed() error {
	r := l.r
	delete(r.lines, l.ticket.key)
	delete(r.w.tickets, l.ticket.key)
	wanted := l.wanted()
	calls := l.calls
	l.calls = nil
	if !wanted || !l.ticket.granted.Load() {
		r.h.limits.leave(l.ticket, r.now())
		return r.readmit(calls...)
	}
	limit := calls[0].call.Limits[calls[0].at]
	var ready []*machine.Call
	for i := range calls {
		c := calls[i]
		if !r.m.Wants(c.call) {
			continue
		}
		if i > 0 {
			if t := r.h.limits.pass(r.w, limit, r.now()); t != nil {
				r.queue(t, calls[i:]...)
				break
			}
		}
		if c.at--; r.admit(c) {
			ready = append(ready, c.call)
		}
	}
	return r.start(ready...)
}

// wanted tells whether somebody in the line still is.
func (l *line) wanted() bool {
	for len(l.calls) > 0 && !l.r.m.Wants(l.calls[0].call) {
		l.calls[0] = waitingCall{}
		l.calls = l.calls[1:]
	}
	return len(l.calls) > 0
}

// do gives free places away, in a host without a clockwork that does.
func (l *line) do() error {
	r := l.r
	r.h.granted(r.h.limits.grant(l.ticket.b, r.now()))
	if l.ticket.granted.Load() {
		return l.proceed()
	}
	r.agenda.add(r.h.limits.next(l.ticket.b, r.now()), l)
	return nil
}

// soonest tells when the first of the lines may move on, the zero time when there is none.
func (r *runner) soonest() (at time.Time) {
	for _, l := range r.lines {
		if t := r.h.limits.until(l.ticket, r.now()); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// leaveOld gives up the places that the run had before it was parked, and does not queue
// for any more.
func (r *runner) leaveOld() {
	if len(r.w.tickets) == len(r.lines) {
		return
	}
	for key, t := range r.w.tickets {
		if r.lines[key] == nil {
			delete(r.w.tickets, key)
			r.h.limits.leave(t, r.now())
		}
	}
}

// leaveLines gives up the places that the run does not need any more.
func (r *runner) leaveLines() {
	for _, t := range r.w.tickets {
		r.h.limits.leave(t, r.now())
	}
	r.w.tickets = nil
}
