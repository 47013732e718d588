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

// minHeldRetry is the least delay before a call is tried again that the environment held back
// (e.g. the vault did not answer) and that no hold covers.
const minHeldRetry = time.Second

// recoverCall handles a call that an earlier host took up without recording its outcome: it is
// repeated if that is safe, otherwise its outcome is unknown.
func (r *runner) recoverCall(c *machine.Call) error {
	if c.Repeatable {
		return r.startCall(c)
	}
	r.track(&inFlightCall{r: r, Call: c, cancel: func() {}, taken: true})
	return r.apply(machine.Answered{At: r.now(), Key: c.Key, Outcome: host.UnknownOutcome("the host stopped while the call was under way: it may have happened")})
}

// An inFlightCall is a call that was started and whose outcome is not applied yet.
type inFlightCall struct {
	*machine.Call
	r      *runner
	ctx    context.Context
	cancel context.CancelFunc
	taken  bool        // a Taken event is applied
	paused bool        // it was not taken up, because of a hold
	begun  atomic.Bool // Begin has returned nil to the action
}

func (r *runner) track(ic *inFlightCall) {
	if r.inFlight == nil {
		r.inFlight = map[string]*inFlightCall{}
	}
	r.inFlight[ic.Key] = ic
	r.armAfter(ic.Step)
}

// startCall starts the action of a call in its own goroutine.
func (r *runner) startCall(c *machine.Call) error {
	ic := &inFlightCall{r: r, Call: c}
	ic.ctx, ic.cancel = context.WithCancel(r.h.opts.Hard)
	r.track(ic)
	if ic.taken = !r.beginsItself(c); ic.taken && r.crash(Scheduled, ic) {
		ic.cancel()
		return ErrCrashed
	}
	r.calls.Add(1)
	switch {
	case r.h.virtual != nil:
		r.h.virtual.Go(ic.do)
	case r.h.opened:
		r.h.pool.Go(ic.do)
	default:
		go ic.do()
	}
	return nil
}

// beginsItself tells whether the action calls Begin when the call is to be recorded as taken
// up. If the host dies before that the journal has no Taken event, which proves that the call
// was not made, and it is made again. Nothing else would prove it: a claim that is missing in
// the ledger may have been made and then pruned, or lost with a database server.
func (r *runner) beginsItself(c *machine.Call) bool { return c.Prepares && !c.InFlight && r.h.opened }

// begin implements call.Call.Begin: it has the loop take the call up.
func (ic *inFlightCall) begin(ctx context.Context) error {
	if ic.begun.Load() { // again, with other credentials
		return nil
	}
	reply := make(chan error, 1)
	ic.r.post(message{begin: ic, reply: reply})
	select {
	case err := <-reply:
		ic.begun.Store(err == nil)
		return err
	case <-ic.ctx.Done():
		return ic.ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeUp durably takes up a call that begins itself, unless the run no longer wants it or it
// was paused meanwhile; then refused says why.
func (ic *inFlightCall) takeUp() (refused, err error) {
	r := ic.r
	r.h.admitMu.RLock()
	defer r.h.admitMu.RUnlock()
	switch {
	case ic.taken: // the action gave up waiting, and calls Begin again
		return nil, nil
	case !r.m.Wants(ic.Call):
		return errUnwanted, nil
	case r.restoreErr != nil || r.h.isPaused(r.run.flow, &ic.Call.Call):
		ic.paused = true
		return errPaused, nil
	}
	if err := r.apply(r.takenEvent(ic.Call)); err != nil {
		return nil, err
	}
	ic.taken = true
	if r.crash(Scheduled, ic) {
		return nil, r.crashed()
	}
	return nil, r.flush(true)
}

var errPaused = errors.New("it has been paused")

// errUnwanted refuses a call that the run no longer wants.
var errUnwanted = errors.New("the run no longer needs the call")

func (ic *inFlightCall) do() {
	o, returned := call.Outcome{}, false
	defer func() {
		if !returned { // it panicked, or called runtime.Goexit
			ic.reportPanic(recover())
			o = host.BrokenOutcome(ic.Action, ic.Repeatable)
		}
		ic.cancel()
		ic.finish(&o)
	}()
	c := ic.Call.Call
	if ic.r.beginsItself(ic.Call) {
		c.Begin = ic.begin
	}
	o = ic.r.h.opts.Do(ic.ctx, c)
	returned = true
}

func (ic *inFlightCall) reportPanic(v any) {
	if h := ic.r.h; h.opts.Panicked != nil {
		h.opts.Panicked(ic.Call.Call, v, debug.Stack())
	}
}

// finish sends the outcome of the call to the loop. If the loop has returned, this goroutine
// goes on with it.
func (ic *inFlightCall) finish(o *call.Outcome) {
	r := ic.r
	now := r.now()
	if o.Throttled != "" {
		ic.throttle(o.Throttled, now)
	}
	switch {
	case o.Status == call.Cancelled && r.h.cutsOff(): // the host stops; nobody cancelled the call
		*o = host.StoppedOutcome()
	case r.foreground:
		if o.Held { // no hold in the foreground: a plain failure, to be retried
			o.Held, o.After = false, max(o.After, minHeldRetry)
		}
	default:
		r.h.noteOutcome(ic.Connection, o)
	}
	stopped := r.inbox.put(message{event: machine.Answered{At: now, Key: ic.Key, Outcome: *o}})
	r.calls.Done()
	if stopped {
		r.work()
	}
}

// throttle slows down the limit that the API said was exceeded.
func (ic *inFlightCall) throttle(key string, now time.Time) {
	h := ic.r.h
	for _, limit := range ic.Limits {
		if limit.Key != key {
			continue
		}
		if slowed, report := h.limits.throttle(limit, now); report && h.opts.OnHold != nil {
			h.opts.OnHold(slowed, false)
		}
	}
}

// cancelCall cancels the context of a call in flight.
func (r *runner) cancelCall(key string) {
	ic := r.inFlight[key]
	if ic == nil {
		return
	}
	ic.cancel()
	if r.h.virtual != nil {
		r.h.virtual.Interrupt()
	}
}

// drainCalls waits for the calls in flight. Those that were not taken up are cancelled, and so
// are all that sleep on a virtual clock, which does not advance any more.
func (r *runner) drainCalls() {
	r.rejectWaiting()
	for _, ic := range r.inFlight {
		if !ic.taken {
			ic.cancel()
		}
	}
	if r.h.virtual != nil {
		for _, ic := range r.inFlight {
			ic.cancel()
		}
		r.h.virtual.Interrupt()
	}
	r.calls.Wait()
}

func (r *runner) crash(p Point, ic *inFlightCall) bool {
	return r.h.opts.Crash != nil && r.h.opts.Crash(p, ic.Step, ic.Attempt)
}
