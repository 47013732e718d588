package temporal

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

// call is the activity that makes a call, once.
func (h *Host) call(ctx context.Context, in callInput) (callResult, error) {
	if !h.tasks.begin(activity.GetInfo(ctx).TaskToken) {
		return callResult{}, errReturned
	}
	c := in.Call.Call()
	if sig := h.opts.Catalog.Action(c.Action); sig != nil {
		if coerced, found := sig.In.Coerce(c.Input); found.Err() == nil {
			c.Input, _ = coerced.(map[string]any)
		}
	}
	if info := activity.GetInfo(ctx); !h.isRepeatable(&c) {
		switch {
		case in.Execution != "" && in.Execution != info.WorkflowExecution.RunID:
			return callResult{Outcome: stored.OfOutcome(host.UnknownOutcome("somebody reset the workflow on the server, and the call may have been made before that: it is not made again"))}, nil
		case info.Attempt > 1 || activity.HasHeartbeatDetails(ctx):
			return callResult{Outcome: stored.OfOutcome(host.UnknownOutcome("the server wants the call made again, and it may have happened: it is not"))}, nil
		}
	}
	if held := h.holds.find(in.Flow, &c, false); held != nil {
		return held.answer(), nil
	}
	if wait := h.buckets.wait(ctx, in.Limits); wait > 0 {
		held := host.HeldOutcome("limit", "it waits for its turn")
		held.After = wait
		return callResult{Outcome: stored.OfOutcome(held)}, nil
	}
	ctx, end := h.inFlight.begin(ctx, c.Key)
	defer end()
	prepared := &preparedCall{h: h, ctx: ctx, flow: in.Flow, call: &c}
	if activity.GetInfo(ctx).ActivityType.Name == beginActivity {
		c.Begin = prepared.begin
	} else {
		go h.heartbeat(ctx)
	}
	limited, done := ctx, func() {}
	if c.Timeout > 0 {
		limited, done = context.WithTimeout(ctx, c.Timeout)
	}
	outcome := h.do(limited, c)
	late := limited.Err() != nil && ctx.Err() == nil
	done()
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
		return callResult{Outcome: stored.OfOutcome(host.StoppedOutcome())}, nil
	}
	if outcome.Throttled != "" {
		h.buckets.throttle(outcome.Throttled)
	}
	hold := h.noteConnection(&c, &outcome)
	return h.boundResult(&c, callResult{Outcome: stored.OfOutcome(outcome), Hold: hold, TimedOut: late}), nil
}

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
	tick := time.NewTicker(h.opts.Lost / 4)
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

// do calls Options.Do, and returns an outcome also if that panics.
func (h *Host) do(ctx context.Context, c call.Call) (outcome call.Outcome) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); h.opts.Panicked != nil {
			h.opts.Panicked(c, v, debug.Stack())
		}
		outcome = host.BrokenOutcome(c.Action, h.isRepeatable(&c))
	}()
	outcome = h.opts.Do(ctx, c)
	returned = true
	return outcome
}

// isRepeatable reports whether making a call twice is harmless.
func (h *Host) isRepeatable(c *call.Call) bool {
	sig := h.opts.Catalog.Action(c.Action)
	return c.Idempotent || sig != nil && sig.Idempotent != nil && sig.Idempotent(c.Input)
}

// inFlightCalls are the calls that this process makes at the moment.
type inFlightCalls struct {
	mu    sync.Mutex
	calls map[string]context.CancelFunc // by key
}

func (u *inFlightCalls) begin(ctx context.Context, key string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.calls == nil {
		u.calls = map[string]context.CancelFunc{}
	}
	u.calls[key] = cancel
	return ctx, func() {
		cancel()
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.calls, key)
	}
}

// end cancels a call, if it is made here.
func (u *inFlightCalls) end(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if cancel := u.calls[key]; cancel != nil {
		cancel()
	}
}
