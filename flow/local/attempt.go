package local

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
)

// heldPause is how long to wait at least before a call is tried again for which the
// surroundings were not ready.
const heldPause = time.Second

// recover decides about a call that an earlier host took up without recording what
// became of it.
func (r *runner) recover(c *machine.Call) error {
	if c.Repeatable {
		return r.make(c)
	}
	r.remember(&underWay{r: r, Call: c, cancel: func() {}, taken: true})
	return r.apply(machine.Answered{At: r.now(), Key: c.Key, Outcome: host.UnknownOutcome("the host stopped while the call was under way: it may have happened")})
}

// A call that is under way, until its outcome is applied.
type underWay struct {
	*machine.Call
	r      *runner
	ctx    context.Context
	cancel context.CancelFunc
	taken  bool        // that it was taken up is stored, or will be
	paused bool        // it was not, because somebody has paused it
	begun  atomic.Bool // it was told that it may happen
}

func (r *runner) remember(u *underWay) {
	if r.made == nil {
		r.made = map[string]*underWay{}
	}
	r.made[u.Key] = u
	r.fedBy(u.Step)
}

// make makes a call that was taken up.
func (r *runner) make(c *machine.Call) error {
	u := &underWay{r: r, Call: c}
	u.ctx, u.cancel = context.WithCancel(r.h.opts.Hard)
	r.remember(u)
	if u.taken = !r.begins(c); u.taken && r.crash(Scheduled, u) {
		u.cancel()
		return ErrCrashed
	}
	r.calls.Add(1)
	switch {
	case r.virtual != nil:
		r.virtual.Go(u.make)
	case r.h.serves:
		r.h.crew.do(u.make)
	default:
		go u.make()
	}
	return nil
}

// begins tells whether a call says itself when it is to be recorded as taken up. If the host
// dies before that, the journal has no record of it: so it did not happen, and is made again.
// Nothing else would prove that. A claim that a ledger does not have may have been made, and
// forgotten since or lost with a server.
func (r *runner) begins(c *machine.Call) bool { return c.Prepares && !c.InFlight && r.h.serves }

// begin has the loop take up a call that has prepared itself.
func (u *underWay) begin(ctx context.Context) error {
	if u.begun.Load() { // it begins again, with other credentials
		return nil
	}
	told := make(chan error, 1)
	u.r.post(item{begins: u, told: told})
	select {
	case err := <-told:
		u.begun.Store(err == nil)
		return err
	case <-u.ctx.Done():
		return u.ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeUp takes up a call that begins, durably, if the run still wants it, and nobody has paused
// it meanwhile.
func (u *underWay) takeUp() (refused, err error) {
	r := u.r
	r.h.admitting.RLock()
	defer r.h.admitting.RUnlock()
	switch {
	case u.taken: // it gave up waiting, and begins again
		return nil, nil
	case !r.m.Wants(u.Call):
		return errUnwanted, nil
	case r.doubt != nil || r.h.isPaused(r.w.flow, &u.Call.Call):
		u.paused = true
		return errPaused, nil
	}
	if err := r.apply(r.takenUp(u.Call)); err != nil {
		return nil, err
	}
	u.taken = true
	if r.crash(Scheduled, u) {
		return nil, r.crashed()
	}
	return nil, r.flush(true)
}

var errPaused = errors.New("somebody has paused it")

// errUnwanted says that a call is not wanted any more.
var errUnwanted = errors.New("the run does not want the call any more")

func (u *underWay) make() {
	o, returned := call.Outcome{}, false
	defer func() {
		if !returned { // it panicked, or ended the goroutine
			u.broke(recover())
			o = host.BrokenOutcome(u.Action, u.Repeatable)
		}
		u.cancel()
		u.answered(&o)
	}()
	c := u.Call.Call
	if u.r.begins(u.Call) {
		c.Begin = u.begin
	}
	o = u.r.h.opts.Do(u.ctx, c)
	returned = true
}

func (u *underWay) broke(v any) {
	if h := u.r.h; h.opts.Panicked != nil {
		h.opts.Panicked(u.Call.Call, v, debug.Stack())
	}
}

// answered hands the loop the outcome of a call. If nobody carries the run at the moment,
// it goes on here.
func (u *underWay) answered(o *call.Outcome) {
	r := u.r
	now := r.now()
	if o.Throttled != "" {
		u.throttle(o.Throttled, now)
	}
	switch {
	case o.Status == call.Cancelled && r.h.cutsOff(): // not because anybody wanted that
		*o = host.StoppedOutcome()
	case r.stays:
		if o.Held { // nobody waits here for the surroundings: it is a failure like another
			o.Held, o.After = false, max(o.After, heldPause)
		}
	default:
		r.h.note(u.Connection, o)
	}
	alone := r.leave(item{event: machine.Answered{At: now, Key: u.Key, Outcome: *o}})
	r.calls.Done()
	if alone {
		r.work()
	}
}

// throttle slows the limit down that an answer says was hit.
func (u *underWay) throttle(key string, now time.Time) {
	h := u.r.h
	for _, limit := range u.Limits {
		if limit.Key != key {
			continue
		}
		if slowed, news := h.limits.throttle(limit, now); news && h.opts.OnHold != nil {
			h.opts.OnHold(slowed, false)
		}
	}
}

// cancel ends a call that is under way.
func (r *runner) cancel(key string) {
	u := r.made[key]
	if u == nil {
		return
	}
	u.cancel()
	if r.virtual != nil {
		r.virtual.Interrupt()
	}
}

// abandon waits for the calls that are under way. Those that sleep on a virtual clock,
// which nobody moves any more, are ended, as are those that have not begun.
func (r *runner) abandon() {
	r.turnAway()
	for _, u := range r.made {
		if !u.taken {
			u.cancel()
		}
	}
	if r.virtual != nil {
		for _, u := range r.made {
			u.cancel()
		}
		r.virtual.Interrupt()
	}
	r.calls.Wait()
}

func (r *runner) crash(p Point, u *underWay) bool {
	return r.h.opts.Crash != nil && r.h.opts.Crash(p, u.Step, u.Attempt)
}
