package temporal

import (
	"context"
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
	// defaultTimeout bounds a call that has no time-out of its own. Actions end earlier by
	// themselves; it is for workers that hang.
	defaultTimeout = 5 * time.Minute
	// grace is how much longer than its time-out a call's activity may take: to read the
	// vault, and to return the outcome.
	grace = time.Minute
	// senderQueueTime is how long a call may wait in the task queue of its sender. After that
	// it has certainly not been made, and is asked for again.
	senderQueueTime = 2 * time.Minute

	firstBackoff = time.Second     // before a call that was held is tried again; doubles …
	maxBackoff   = 5 * time.Minute // … up to this
)

// An inFlightCall is a call whose activity runs.
type inFlightCall struct {
	*machine.Call
	timeout machine.Sleep // of its time-out; the worker enforces it, which saves a timer on the server
	cancel  workflow.CancelFunc
}

// A delayedCall is a call that waits for its stepBackoff.
type delayedCall struct {
	heldCall
	call *machine.Call
}

// A stepBackoff delays the next call of a step after one that was held.
type stepBackoff struct {
	next  time.Duration // the delay after this one
	due   bool          // the next call is to be delayed
	delay time.Duration
	heldCall
}

// perform executes the machine's commands until there are no more.
func (r *runner) perform() {
	for {
		commands := r.m.Next()
		for _, c := range commands {
			r.do(c)
		}
		if len(commands) == 0 && !r.admitNext() {
			break
		}
	}
	r.unsubscribe()
	r.delayed = slices.DeleteFunc(r.delayed, func(one *delayedCall) bool { return !r.m.Wants(one.call) })
}

func (r *runner) do(c machine.Command) {
	switch c := c.(type) {
	case *machine.Call:
		r.admit(c)
	case machine.Cancel:
		r.cancelCall(c.Key)
	case machine.Sleep:
		r.startTimer(c)
	case machine.Await:
		r.subscribe(c)
	case machine.Watch:
		r.loadReceipts(c.Key)
	}
}

// admit takes a call up, or delays or queues it.
func (r *runner) admit(c *machine.Call) {
	switch b := r.backoffs[c.Step]; {
	case r.draining: // the next execution makes it
	case b != nil && b.due:
		r.delay(c, b)
	case r.in.ChecksReceipts && len(c.Doubtful) > 0:
		r.loadReceiptsFirst(c)
	case r.busy():
		r.queue = append(r.queue, c)
	default:
		r.takeUp(c)
	}
}

// busy reports whether no more calls may be made at the moment.
func (r *runner) busy() bool {
	return len(r.inFlight) >= maxInFlight || len(r.inFlight) > 0 && r.inputBytes > maxInputBytes
}

// admitNext admits the first call of the queue, and reports whether it took one out.
func (r *runner) admitNext() bool {
	if len(r.queue) == 0 || r.busy() {
		return false
	}
	c := r.queue[0]
	r.queue = r.queue[1:]
	if r.m.Wants(c) {
		r.admit(c)
	}
	return true
}

// takeUp takes a call up, and starts it. Only perform may call it, when it has executed all
// commands: those that follow are then because of this call, and a time-out among them is
// the call's.
func (r *runner) takeUp(c *machine.Call) {
	now := r.now()
	r.apply(machine.Taken{At: now, Key: c.Key, Fingerprint: c.Fingerprint})
	bytes := jsonSize(c.Input)
	if bytes > maxPayload {
		r.apply(machine.Answered{At: now, Key: c.Key, Outcome: tooLarge(c, bytes)})
		return
	}
	r.inputBytes += bytes
	r.addRecipient(c)
	var timeout machine.Sleep
	for _, next := range r.m.Next() {
		if s, ok := next.(machine.Sleep); ok && timeout.Timer == 0 && c.Timeout > 0 && s.Until.Equal(now.Add(c.Timeout)) {
			timeout = s
			continue
		}
		r.do(next)
	}
	r.startCall(c, timeout)
}

// startCall starts the activity of a call that was taken up.
func (r *runner) startCall(c *machine.Call, timeout machine.Sleep) {
	options := workflow.ActivityOptions{
		StartToCloseTimeout: defaultTimeout, HeartbeatTimeout: r.h.opts.Lost, WaitForCancellation: true,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	if c.Timeout > 0 {
		options.StartToCloseTimeout = c.Timeout + grace
	}
	in := callInput{Flow: r.in.Flow, Call: stored.OfCall(c.Call), Execution: r.execution()}
	for _, l := range c.Limits {
		if options.TaskQueue == "" && isShared(l) {
			options.TaskQueue = r.h.senderQueue(r.queueName(), l)
			options.ScheduleToStartTimeout = senderQueueTime
			continue
		}
		in.Limits = append(in.Limits, rateLimit{l.Key, l.Rate, l.Burst})
	}
	ctx, cancel := workflow.WithCancel(r.ctx)
	name := callActivity
	if r.usesBegin(c) {
		name = beginActivity
	}
	future := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), name, in)
	r.inFlight[c.Key] = &inFlightCall{c, timeout, cancel}
	r.selector.AddFuture(future, func(f workflow.Future) { r.onAnswer(c, f) })
}

// execution returns the execution for which calls are made: the run id with which the
// workflow began. When an operator resets the workflow it gets another one, and workers do
// not make calls of the old one, which may have been made before the reset.
func (r *runner) execution() string {
	if r.in.Reset {
		return "none"
	}
	return workflow.GetInfo(r.ctx).OriginalRunID
}

// onAnswer applies the outcome of a call's activity.
func (r *runner) onAnswer(c *machine.Call, f workflow.Future) {
	var a callResult
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
		r.startCall(c, r.inFlight[c.Key].timeout) // making it twice is harmless
		return
	case errors.As(err, &late) && r.usesBegin(c) && !late.HasLastHeartbeatDetails():
		outcome = host.HeldOutcome("not_started", "the worker was lost before the call began: it was not made")
	case errors.As(err, &late):
		a.TimedOut = late.TimeoutType() == enumspb.TIMEOUT_TYPE_START_TO_CLOSE
		outcome = host.UnknownOutcome("the worker that made the call was lost: it may have happened")
	default:
		outcome = host.UnknownOutcome("the worker broke while it made the call: it may have happened")
	}
	if timeout := r.inFlight[c.Key].timeout; a.TimedOut && r.m.Wants(timeout) {
		r.apply(machine.Fired{At: r.now(), Timer: timeout.Timer})
	}
	delete(r.inFlight, c.Key)
	delete(r.receiptsAsked, c.Key)
	r.updateBackoff(c, &outcome, a.Hold)
	r.apply(machine.Answered{At: r.now(), Key: c.Key, Outcome: outcome})
}

// usesBegin reports whether the worker tells the server when a call begins, so that one that
// did not is known not to have been made.
func (r *runner) usesBegin(c *machine.Call) bool { return c.Prepares && r.in.Begins }

// updateBackoff sets or clears the backoff of a call's step after an outcome.
func (r *runner) updateBackoff(c *machine.Call, o *call.Outcome, hold string) {
	if !o.Held {
		delete(r.backoffs, c.Step)
		return
	}
	b := r.backoffs[c.Step]
	if b == nil {
		b = &stepBackoff{next: firstBackoff}
		r.backoffs[c.Step] = b
	}
	b.due, b.delay = true, b.next
	if o.After > 0 {
		b.delay = o.After
	} else {
		b.next = min(2*b.next, maxBackoff)
	}
	b.Hold, b.Reason = hold, ""
	if o.Error != nil {
		b.Reason = o.Error.Message
	}
	o.After = 0
}

// delay delays a call until its backoff has passed, or its hold is lifted.
func (r *runner) delay(c *machine.Call, b *stepBackoff) {
	d := &delayedCall{call: c, heldCall: b.heldCall}
	d.Key, d.Step, d.Until = c.Key, c.Step, r.now().Add(b.delay)
	r.delayed = append(r.delayed, d)
	r.selector.AddFuture(workflow.NewTimer(r.ctx, b.delay), func(workflow.Future) { r.resume(d) })
}

// onLifted resumes the calls of a hold.
func (r *runner) onLifted(hold string) {
	for _, d := range slices.Clone(r.delayed) {
		if d.Hold == hold {
			r.resume(d)
		}
	}
}

func (r *runner) resume(d *delayedCall) {
	at := slices.Index(r.delayed, d)
	if at < 0 {
		return
	}
	r.delayed = slices.Delete(r.delayed, at, at+1)
	if b := r.backoffs[d.call.Step]; b != nil {
		b.due = false
	}
	if r.m.Wants(d.call) {
		r.queue = append(r.queue, d.call) // only perform may take it up: see takeUp
	}
}

// cancelCall cancels a call that is in flight.
func (r *runner) cancelCall(key string) {
	if c := r.inFlight[key]; c != nil {
		c.cancel()
		if cancel, here := r.h.inFlight.Load(key); here { // without waiting for the server to say so
			cancel.(context.CancelFunc)()
		}
	}
}

func (r *runner) startTimer(c machine.Sleep) {
	timer := workflow.NewTimer(r.ctx, max(c.Until.Sub(r.now()), 0))
	r.selector.AddFuture(timer, func(workflow.Future) {
		if r.m.Wants(c) {
			r.apply(machine.Fired{At: r.now(), Timer: c.Timer})
		}
	})
}

// localActivityOptions are those of local activities: short, with few retries, after which
// the workflow tries again.
var localActivityOptions = workflow.LocalActivityOptions{
	ScheduleToCloseTimeout: 5 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3, InitialInterval: 100 * time.Millisecond},
}
