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
func (h *Host) call(ctx context.Context, one job) (answer, error) {
	if !h.intake.begin(activity.GetInfo(ctx).TaskToken) {
		return answer{}, errGivenBack
	}
	c := one.Call.Call()
	if sig := h.opts.Catalog.Action(c.Action); sig != nil {
		if coerced, found := sig.In.Coerce(c.Input); found.Err() == nil {
			c.Input, _ = coerced.(map[string]any)
		}
	}
	if info := activity.GetInfo(ctx); !h.isRepeatable(&c) {
		switch {
		case one.Execution != "" && one.Execution != info.WorkflowExecution.RunID:
			return answer{Outcome: stored.OfOutcome(host.UnknownOutcome("somebody reset the workflow on the server, and the call may have been made before that: it is not made again"))}, nil
		case info.Attempt > 1 || activity.HasHeartbeatDetails(ctx):
			return answer{Outcome: stored.OfOutcome(host.UnknownOutcome("the server wants the call made again, and it may have happened: it is not"))}, nil
		}
	}
	if held := h.holds.on(one.Flow, &c, false); held != nil {
		return held.answer(), nil
	}
	if wait := h.buckets.pass(ctx, one.Limits); wait > 0 {
		held := host.HeldOutcome("limit", "it waits for its turn")
		held.After = wait
		return answer{Outcome: stored.OfOutcome(held)}, nil
	}
	ctx, end := h.under.begin(ctx, c.Key)
	defer end()
	began := &beginning{h: h, of: ctx, flow: one.Flow, call: &c}
	if activity.GetInfo(ctx).ActivityType.Name == beginActivity {
		c.Begin = began.begin
	} else {
		go h.live(ctx)
	}
	limited, done := ctx, func() {}
	if c.Timeout > 0 {
		limited, done = context.WithTimeout(ctx, c.Timeout)
	}
	outcome := h.do(limited, c)
	late := limited.Err() != nil && ctx.Err() == nil
	done()
	switch {
	case began.paused != nil && ctx.Err() == nil:
		return began.paused.answer(), nil
	case began.failed == nil:
	case ctx.Err() != nil || temporal.IsCanceledError(began.failed):
		outcome = call.Outcome{Status: call.Cancelled}
	default:
		outcome = host.HeldOutcome("not_started", "the server did not note that the call began, so it was not made: "+began.failed.Error())
	}
	if outcome.Status == call.Cancelled && h.opts.Hard.Err() != nil { // not because anybody wanted that
		return answer{Outcome: stored.OfOutcome(host.StoppedOutcome())}, nil
	}
	if outcome.Throttled != "" {
		h.buckets.throttle(outcome.Throttled)
	}
	hold := h.note(&c, &outcome)
	return h.bounded(&c, answer{Outcome: stored.OfOutcome(outcome), Hold: hold, Late: late}), nil
}

// answer is that of a call that the hold keeps.
func (h *hold) answer() answer {
	return answer{Outcome: stored.OfOutcome(host.HeldOutcome("held", h.Why())), Hold: h.Key()}
}

// A beginning is that of a call which prepares itself.
type beginning struct {
	h      *Host
	of     context.Context // the call's
	flow   string
	call   *call.Call
	done   bool
	failed error
	paused *hold // what people paused while it prepared itself
}

// begin tells the server that the call begins, by its first sign of life: when the worker is
// lost before, the server has none to show. It refuses that of a call which it has given up,
// so that a worker that only slept does not make what is made again by then.
func (b *beginning) begin(ctx context.Context) error {
	if b.done || b.of.Err() != nil {
		return b.of.Err()
	}
	if b.paused = b.h.holds.on(b.flow, b.call, true); b.paused != nil {
		b.failed = errors.New(b.paused.Why())
		return b.failed
	}
	ctx, end := context.WithTimeout(ctx, b.h.opts.Lost)
	defer end()
	if b.failed = b.h.client.RecordActivityHeartbeat(ctx, activity.GetInfo(b.of).TaskToken, true); b.failed != nil {
		return b.failed
	}
	b.done = true
	go b.h.live(b.of)
	return nil
}

// live tells the server that this worker is alive, until ctx ends. The answers say whether
// the call is to be ended.
func (h *Host) live(ctx context.Context) {
	tick := time.NewTicker(h.opts.Lost / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			activity.RecordHeartbeat(ctx, true) // another attempt sees that there was this one
		case <-ctx.Done():
			return
		}
	}
}

// do makes a call, and gives one outcome whatever happens.
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

// isRepeatable tells whether it is harmless to make a call twice.
func (h *Host) isRepeatable(c *call.Call) bool {
	sig := h.opts.Catalog.Action(c.Action)
	return c.Idempotent || sig != nil && sig.Idempotent != nil && sig.Idempotent(c.Input)
}

// underWay are the calls that this process makes, by key.
type underWay struct {
	mu    sync.Mutex
	calls map[string]context.CancelFunc
}

func (u *underWay) begin(ctx context.Context, key string) (context.Context, func()) {
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

// end ends a call, if it is made here.
func (u *underWay) end(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if cancel := u.calls[key]; cancel != nil {
		cancel()
	}
}
