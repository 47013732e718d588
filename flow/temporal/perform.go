package temporal

import (
	"errors"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// defaultTimeout bounds a call whose step and action say nothing of it. An action
	// ends by itself before that; it is for workers that hang.
	defaultTimeout = 5 * time.Minute
	// grace is how much longer than its time-out a call may take: for the vault, and to
	// tell what became of it.
	grace = time.Minute
	// inLine is how long a call may wait for a place with its sender. Past it, it was
	// surely not made, and is tried anew.
	inLine = 2 * time.Minute

	firstPause = time.Second     // until a call that was held is tried again …
	lastPause  = 5 * time.Minute // … and how far that grows
)

// A made is a call that is under way.
type made struct {
	*machine.Call
	limit  machine.Sleep // its time-out, which the worker keeps: that is one timer less on the server
	cancel workflow.CancelFunc
}

// A heldBack is a call that is not taken up yet.
type heldBack struct {
	heldCall
	call *machine.Call
}

// A pause is how long calls of a step wait that were held.
type pause struct {
	next  time.Duration
	wait  bool // the next call has to
	after time.Duration
	heldCall
}

// perform does what the machine wants until it wants nothing new.
func (r *runner) perform() {
	for {
		commands := r.m.Next()
		for _, c := range commands {
			r.do(c)
		}
		if len(commands) == 0 && !r.advance() {
			break
		}
	}
	r.unsubscribe()
	r.held = slices.DeleteFunc(r.held, func(one *heldBack) bool { return !r.m.Wants(one.call) })
}

func (r *runner) do(c machine.Command) {
	switch c := c.(type) {
	case *machine.Call:
		r.admit(c)
	case machine.Cancel:
		r.abandon(c.Key)
	case machine.Sleep:
		r.sleep(c)
	case machine.Await:
		r.subscribe(c)
	case machine.Watch:
		r.look(c.Key)
	}
}

// admit takes a call up, unless something holds it back.
func (r *runner) admit(c *machine.Call) {
	switch p := r.pauses[c.Step]; {
	case r.draining:
		r.backlog = append(r.backlog, c) // the next execution makes it
	case p != nil && p.wait:
		r.hold(c, p)
	case r.in.Looks && len(c.Doubtful) > 0:
		r.lookFirst(c)
	case r.busy():
		r.line = append(r.line, c)
	default:
		r.take(c)
	}
}

// busy tells whether so many calls are under way that others wait in line.
func (r *runner) busy() bool {
	return len(r.made) >= maxMade || len(r.made) > 0 && r.sent > maxSent
}

// advance takes up the first call in line, and tells whether there was one that could be.
func (r *runner) advance() bool {
	if len(r.line) == 0 || r.busy() {
		return false
	}
	c := r.line[0]
	r.line = r.line[1:]
	if r.m.Wants(c) {
		r.admit(c)
	}
	return true
}

// take takes a call up. Only perform may do so: what the machine wants then is because of
// this call alone, and a time-out among it is its own.
func (r *runner) take(c *machine.Call) {
	now := r.now()
	r.apply(machine.Taken{At: now, Key: c.Key, Fingerprint: c.Fingerprint})
	bytes := bulk(c.Input)
	if bytes > maxPayload {
		r.apply(machine.Answered{At: now, Key: c.Key, Outcome: tooLarge(c, bytes)})
		return
	}
	r.sent += bytes
	r.wrote(c)
	var limit machine.Sleep
	for _, next := range r.m.Next() {
		if s, ok := next.(machine.Sleep); ok && limit.Timer == 0 && c.Timeout > 0 && s.Until.Equal(now.Add(c.Timeout)) {
			limit = s
			continue
		}
		r.do(next)
	}
	r.make(c, limit)
}

// make makes a call that was taken up.
func (r *runner) make(c *machine.Call, limit machine.Sleep) {
	options := workflow.ActivityOptions{
		StartToCloseTimeout: defaultTimeout, HeartbeatTimeout: r.h.opts.Lost, WaitForCancellation: true,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	if c.Timeout > 0 {
		options.StartToCloseTimeout = c.Timeout + grace
	}
	one := job{Flow: r.in.Flow, Call: stored.OfCall(c.Call), Execution: r.execution()}
	for _, l := range c.Limits {
		if options.TaskQueue == "" && isShared(l) {
			options.TaskQueue = r.h.senderQueue(r.queueName(), l)
			options.ScheduleToStartTimeout = inLine
			continue
		}
		one.Limits = append(one.Limits, rate{l.Key, l.Rate, l.Burst})
	}
	ctx, cancel := workflow.WithCancel(r.ctx)
	name := callActivity
	if r.begins(c) {
		name = beginActivity
	}
	future := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), name, one)
	r.made[c.Key] = &made{c, limit, cancel}
	r.sel.AddFuture(future, func(f workflow.Future) { r.answered(c, f) })
}

// execution is what a call is made for: the execution of the workflow as it began. When an
// operator resets the workflow, another one takes its place, in which calls are not made
// that may have been made before.
func (r *runner) execution() string {
	if r.in.Reset {
		return "none"
	}
	return workflow.GetInfo(r.ctx).OriginalRunID
}

// answered applies what became of a call.
func (r *runner) answered(c *machine.Call, f workflow.Future) {
	var a answer
	err := f.Get(r.ctx, &a)
	var outcome call.Outcome
	var late *temporal.TimeoutError
	var cancelled *temporal.CanceledError
	switch {
	case err == nil:
		outcome = a.Outcome.Outcome()
	case errors.As(err, &late) && late.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START:
		outcome = host.HeldOutcome("not_started", "no worker took the call up in time: it was not made")
	case errors.As(err, &cancelled):
		outcome = call.Outcome{Status: call.Cancelled}
	case errors.As(err, &late) && c.Repeatable && r.m.Wants(c):
		r.make(c, r.made[c.Key].limit) // it is harmless to make it twice
		return
	case errors.As(err, &late) && r.begins(c) && !late.HasLastHeartbeatDetails():
		outcome = host.HeldOutcome("not_started", "the worker was lost before the call began: it was not made")
	case errors.As(err, &late):
		a.Late = late.TimeoutType() == enumspb.TIMEOUT_TYPE_START_TO_CLOSE
		outcome = host.UnknownOutcome("the worker that made the call was lost: it may have happened")
	default:
		outcome = host.UnknownOutcome("the worker broke while it made the call: it may have happened")
	}
	if limit := r.made[c.Key].limit; a.Late && r.m.Wants(limit) {
		r.apply(machine.Fired{At: r.now(), Timer: limit.Timer})
	}
	delete(r.made, c.Key)
	delete(r.looked, c.Key)
	r.paused(c, &outcome, a.Hold)
	r.apply(machine.Answered{At: r.now(), Key: c.Key, Outcome: outcome})
}

// begins tells whether the worker that makes a call tells the server when it begins.
func (r *runner) begins(c *machine.Call) bool { return c.Prepares && r.in.Begins }

// paused notes whether the next call of the step has to wait.
func (r *runner) paused(c *machine.Call, o *call.Outcome, hold string) {
	if !o.Held {
		delete(r.pauses, c.Step)
		return
	}
	p := r.pauses[c.Step]
	if p == nil {
		p = &pause{next: firstPause}
		r.pauses[c.Step] = p
	}
	p.wait, p.after = true, p.next
	if o.After > 0 {
		p.after = o.After
	} else {
		p.next = min(2*p.next, lastPause)
	}
	p.Hold, p.Reason = hold, ""
	if o.Error != nil {
		p.Reason = o.Error.Message
	}
	o.After = 0
}

// hold keeps a call until its pause is over, or what keeps it is lifted.
func (r *runner) hold(c *machine.Call, p *pause) {
	one := &heldBack{call: c, heldCall: p.heldCall}
	one.Key, one.Step, one.Until = c.Key, c.Step, r.now().Add(p.after)
	r.held = append(r.held, one)
	r.sel.AddFuture(workflow.NewTimer(r.ctx, p.after), func(workflow.Future) { r.release(one) })
}

// lift lets the calls go on that a hold kept.
func (r *runner) lift(hold string) {
	for _, one := range slices.Clone(r.held) {
		if one.Hold == hold {
			r.release(one)
		}
	}
}

func (r *runner) release(one *heldBack) {
	at := slices.Index(r.held, one)
	if at < 0 {
		return
	}
	r.held = slices.Delete(r.held, at, at+1)
	if p := r.pauses[one.call.Step]; p != nil {
		p.wait = false
	}
	if r.m.Wants(one.call) {
		r.line = append(r.line, one.call) // perform takes it up, once the machine has said all that it wants before
	}
}

// abandon ends a call that is under way, if it can still be ended.
func (r *runner) abandon(key string) {
	if one := r.made[key]; one != nil {
		one.cancel()
		r.h.under.end(key) // at once, if it is made here
	}
}

func (r *runner) sleep(c machine.Sleep) {
	timer := workflow.NewTimer(r.ctx, max(c.Until.Sub(r.now()), 0))
	r.sel.AddFuture(timer, func(workflow.Future) {
		if r.m.Wants(c) {
			r.apply(machine.Fired{At: r.now(), Timer: c.Timer})
		}
	})
}

// nearby is how local activities are made: short, and tried again by the workflow.
var nearby = workflow.LocalActivityOptions{
	ScheduleToCloseTimeout: 5 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3, InitialInterval: 100 * time.Millisecond},
}
