package local

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// heldPause is how long to wait at least before a call is tried again for which the
// surroundings were not ready.
const heldPause = time.Second

// recover decides about a call that an earlier host took up without recording what
// became of it.
func (r *runner) recover(c machine.Call) error {
	if c.Repeatable {
		return r.make(c)
	}
	r.remember(c, func() {})
	return r.apply(machine.Answered{At: r.now(), Key: c.Key, Outcome: unknown("the host stopped while the call was under way: it may have happened")})
}

func unknown(message string) call.Outcome {
	return call.Outcome{Status: call.Unknown, Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: message}}
}

// A call that is under way, until its outcome is applied.
type underWay struct {
	call.Call
	cancel context.CancelFunc
}

func (r *runner) remember(c machine.Call, cancel context.CancelFunc) {
	if r.made == nil {
		r.made = map[string]underWay{}
	}
	r.made[c.Key] = underWay{c.Call, cancel}
	r.fedBy(c.Step)
}

// make makes a call that was taken up.
func (r *runner) make(c machine.Call) error {
	ctx, cancel := context.WithCancel(r.h.opts.Hard)
	r.remember(c, cancel)
	if r.crash(Scheduled, c.Call) {
		cancel()
		return ErrCrashed
	}
	r.calls.Add(1)
	one := func() {
		outcome, returned := call.Outcome{}, false
		defer func() {
			if !returned { // it panicked, or ended the goroutine
				if v := recover(); r.h.opts.Panicked != nil {
					r.h.opts.Panicked(c.Call, v, debug.Stack())
				}
				outcome = broken(c)
			}
			cancel()
			r.answered(c.Call, outcome)
		}()
		outcome = r.h.opts.Do(ctx, c.Call)
		returned = true
	}
	switch {
	case r.virtual != nil:
		r.virtual.Go(one)
	case r.h.serves:
		r.h.crew.do(one)
	default:
		go one()
	}
	return nil
}

// broken is the outcome of a call that ended in a fault of the program.
func broken(c machine.Call) call.Outcome {
	o := unknown(fmt.Sprintf("%s broke while it ran, and whether the call happened is not known: this is a fault of the program", c.Action))
	if c.Repeatable {
		o.Status, o.Retryable, o.Error.Code = call.Failed, true, "broken"
	}
	return o
}

// answered hands the loop the outcome of a call. If nobody carries the run at the moment,
// it goes on here.
func (r *runner) answered(c call.Call, o call.Outcome) {
	now := r.now()
	if o.Throttled != "" {
		r.h.limits.throttle(o.Throttled, now)
	}
	if r.stays {
		if o.Held { // nobody waits here for the surroundings: it is a failure like another
			o.Held, o.After = false, max(o.After, heldPause)
		}
	} else {
		r.h.note(c, &o)
	}
	alone := r.leave(item{event: machine.Answered{At: now, Key: c.Key, Outcome: o}})
	r.calls.Done()
	if alone {
		r.work()
	}
}

// cancel ends a call that is under way.
func (r *runner) cancel(key string) {
	c, ok := r.made[key]
	if !ok {
		return
	}
	c.cancel()
	if r.virtual != nil {
		r.virtual.Interrupt()
	}
}

// abandon waits for the calls that are under way. Those that sleep on a virtual clock,
// which nobody moves any more, are ended.
func (r *runner) abandon() {
	if r.virtual != nil {
		for _, c := range r.made {
			c.cancel()
		}
		r.virtual.Interrupt()
	}
	r.calls.Wait()
}

func (r *runner) crash(p Point, c call.Call) bool {
	return r.h.opts.Crash != nil && r.h.opts.Crash(p, c.Step, c.Attempt)
}
