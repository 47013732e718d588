package temporal

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

// call is the activity that makes a call, once.
func (h *Host) call(ctx context.Context, in callInput) (callResult, error) {
	info := activity.GetInfo(ctx)
	if !h.tasks.begin(info.TaskToken) {
		return callResult{}, errReturned
	}
	c := in.Call.Call()
	if sig := h.opts.Catalog.Action(c.Action); sig != nil {
		if coerced, found := sig.In.Coerce(c.Input); found.Err() == nil {
			c.Input, _ = coerced.(map[string]any)
		}
	}
	repeatable := h.isRepeatable(&c)
	switch {
	case repeatable:
	case in.Execution != "" && in.Execution != info.WorkflowExecution.RunID:
		return resultOf(host.UnknownOutcome("somebody reset the workflow on the server, and the call may have been made before that: it is not made again")), nil
	case info.Attempt > 1 || activity.HasHeartbeatDetails(ctx):
		return resultOf(host.UnknownOutcome("the server wants the call made again, and it may have happened: it is not")), nil
	}
	if held := h.holds.find(in.Flow, &c, false); held != nil {
		return held.answer(), nil
	}
	if wait := h.buckets.wait(ctx, in.Limits); wait > 0 {
		held := host.HeldOutcome("limit", "it waits for its turn")
		held.After = wait
		return resultOf(held), nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.inFlight.Store(c.Key, cancel)
	defer h.inFlight.Delete(c.Key)
	prepared := &preparedCall{h: h, ctx: ctx, flow: in.Flow, call: &c}
	if info.ActivityType.Name == beginActivity {
		c.Begin = prepared.begin
	} else {
		go h.heartbeat(ctx)
	}
	outcome, late := h.do(ctx, c, repeatable)
	switch {
	case prepared.hold != nil && ctx.Err() == nil:
		return prepared.hold.answer(), nil
	case prepared.err == nil:
	case ctx.Err() != nil || temporal.IsCanceledError(prepared.err):
		outcome = call.Outcome{Status: call.Cancelled}
	default:
		outcome = host.HeldOutcome("not_started", "the server did not note that the call began, so it was not made: "+prepared.err.Error())
	}
	if outcome.Status == call.Cancelled && h.opts.Hard.Err() != nil { // because the daemon stops, not because the run wanted it
		return resultOf(host.StoppedOutcome()), nil
	}
	if outcome.Throttled != "" {
		h.buckets.throttle(outcome.Throttled)
	}
	hold := h.noteConnection(&c, &outcome)
	return h.boundResult(&c, callResult{Outcome: stored.OfOutcome(outcome), Hold: hold, TimedOut: late}), nil
}

func resultOf(o call.Outcome) callResult { return callResult{Outcome: stored.OfOutcome(o)} }

// answer is that of a call that the hold keeps.
func (h *hold) answer() callResult {
	return callResult{Outcome: stored.OfOutcome(host.HeldOutcome("held", h.Why())), Hold: h.Key()}
}

// A preparedCall is a call that Prepares, which reports its beginning itself.
type preparedCall struct {
	h     *Host
	ctx   context.Context // of the activity
	flow  string
	call  *call.Call
	begun bool
	err   error
	hold  *hold // set by a person after the activity had started
}

// begin is call.Call.Begin. It tells the server that the call begins, by the activity's first
// heartbeat: without one, a lost worker has certainly not made the call. The server refuses
// the heartbeat of an activity that it has given up, so that a worker which was only asleep
// does not make a call that is made again by then.
func (b *preparedCall) begin(ctx context.Context) error {
	if b.begun || b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	if b.hold = b.h.holds.find(b.flow, b.call, true); b.hold != nil {
		b.err = errors.New(b.hold.Why())
		return b.err
	}
	ctx, end := context.WithTimeout(ctx, b.h.opts.Lost)
	defer end()
	if b.err = b.h.client.RecordActivityHeartbeat(ctx, activity.GetInfo(b.ctx).TaskToken, true); b.err != nil {
		return b.err
	}
	b.begun = true
	go b.h.heartbeat(b.ctx)
	return nil
}

// heartbeat records heartbeats until ctx ends. Their answers cancel ctx if the call is to be
// cancelled.
func (h *Host) heartbeat(ctx context.Context) {
	tick := time.NewTicker(h.opts.Lost / 4) // also if the server is slow
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			activity.RecordHeartbeat(ctx, true) // a further attempt sees the details
		case <-ctx.Done():
			return
		}
	}
}

// do calls Options.Do, and returns an outcome also if that panics; late says whether the call's
// time-out passed.
func (h *Host) do(ctx context.Context, c call.Call, repeatable bool) (outcome call.Outcome, late bool) {
	limited := ctx
	if c.Timeout > 0 {
		var done func()
		limited, done = context.WithTimeout(ctx, c.Timeout)
		defer done()
	}
	returned := false
	defer func() {
		late = limited.Err() != nil && ctx.Err() == nil
		if returned {
			return
		}
		if v := recover(); h.opts.Panicked != nil {
			h.opts.Panicked(c, v, debug.Stack())
		}
		outcome = host.BrokenOutcome(c.Action, repeatable)
	}()
	outcome = h.opts.Do(limited, c)
	returned = true
	return outcome, false
}

// isRepeatable reports whether making a call twice is harmless.
func (h *Host) isRepeatable(c *call.Call) bool {
	sig := h.opts.Catalog.Action(c.Action)
	return c.Idempotent || sig != nil && sig.Idempotent != nil && sig.Idempotent(c.Input)
}
