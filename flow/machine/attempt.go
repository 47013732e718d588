package machine

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// awaits is the state that the step waits for, "" when the answer is enough.
func (a *activity) awaits() string {
	if a.do.Await == nil {
		return ""
	}
	return a.do.Await.State
}

// happened goes on after a call that was accepted.
func (a *activity) happened() {
	a.err = nil
	want := a.do.Await
	if want == nil {
		a.finish(nil)
		return
	}
	a.phase = awaiting
	switch {
	case a.consult():
	case a.halted():
		a.awaitStopped()
	case !a.m.start.Receipts:
		a.finish(&call.Error{Code: "timeout", Class: "timeout", Message: "accepted; whether it is " + want.State + " cannot be known, as no receipts reach this run"})
	default:
		a.watch(want.Timeout, func() {
			a.finish(&call.Error{
				Code: "timeout", Class: "timeout",
				Message: fmt.Sprintf("accepted, but not %s within %s", want.State, schema.FormatDuration(want.Timeout)),
			})
		})
	}
}

func (a *activity) awaitStopped() {
	a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "accepted; it was stopped before it was " + a.do.Await.State}, result{end: stopped})
}

// unknown goes on after a call that may have happened.
func (a *activity) unknown() {
	err := &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "no answer came: it may have happened"}
	if a.late {
		err.Message = "no answer within " + schema.FormatDuration(a.do.Timeout) + ": it may have happened"
	}
	if e := a.err; e != nil {
		err.Message = cmp.Or(e.Message, err.Message)
		err.MetaCode, err.StatusCode, err.Details = e.MetaCode, e.StatusCode, e.Details
	}
	a.err = err
	switch {
	case a.settled():
	case a.do.Signature.Settle == nil || !a.m.start.Receipts || a.halted():
		a.unsettled(true)
	default:
		a.phase = settling
		a.watch(a.do.UnknownTimeout, func() { a.unsettled(false) })
	}
}

// settled tells whether a receipt that came already says what became of the call.
func (a *activity) settled() bool {
	before := a.phase
	a.phase = settling
	if a.consult() {
		return true
	}
	a.phase = before
	return false
}

// unsettled goes on after a call of which nobody knows whether it happened.
func (a *activity) unsettled(delay bool) {
	switch {
	case !a.do.Resend || a.attempt >= a.most() || a.halted():
		a.finish(a.err)
	case delay && a.do.Retry != nil:
		a.backOff(a.delay(call.Outcome{}))
	default:
		a.try()
	}
}

// most is how many attempts there may be in all.
func (a *activity) most() int {
	switch {
	case a.do.Retry != nil:
		return a.do.Retry.Attempts
	case a.do.Resend:
		return 2
	}
	return 1
}

// notMade goes on after a call that was cancelled before it could happen.
func (a *activity) notMade() {
	switch {
	case a.settled():
	case a.env.group.stopped == cancelling:
		a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "cancelled before it was made"}, result{end: stopped})
	case a.late:
		a.err = &call.Error{Code: "timeout", Class: "timeout", Message: "no answer within " + schema.FormatDuration(a.do.Timeout)}
		a.refused(call.Outcome{Retryable: true})
	default:
		a.finish(cmp.Or(a.err, &call.Error{Code: "cancelled", Class: "flow", Message: "the call was cancelled before it was made"}))
	}
}

// refused goes on after a call that did not happen.
func (a *activity) refused(o call.Outcome) {
	if a.err == nil {
		a.err = &call.Error{Code: "failed", Class: "permanent", Message: "the call failed"}
	}
	if a.settled() { // a receipt shows that it did happen: it must not be repeated
		return
	}
	if !o.Retryable || a.do.Retry == nil || a.attempt >= a.do.Retry.Attempts || a.halted() {
		a.finish(a.err)
		return
	}
	if when := a.do.Retry.When; when != nil {
		yes, f := a.m.holds(when, a.env.bind("error", a.err.Value(a.step.ID)), a.step.Place)
		if f != nil {
			a.report.Note = "retry.when: " + f.err.Message
		}
		if !yes {
			a.finish(a.err)
			return
		}
	}
	a.backOff(a.delay(o))
}

func (a *activity) backOff(d time.Duration) {
	a.phase = backoff
	a.timer = a.m.sleep(a.m.now.Add(d), a.try)
}

const (
	// The pair limit's published back-off: 4^X seconds, X = 0, 1, 2 …, here with a cap.
	maxPairDelay = 256 * time.Second
	// A growing delay without a limit of its own stops here.
	maxDelay = 7 * 24 * time.Hour
)

// delay is how long to wait before the next attempt.
func (a *activity) delay(o call.Outcome) time.Duration {
	n := float64(a.attempt - 1)
	if o.Backoff == "pair" {
		d := min(math.Pow(4, n), maxPairDelay.Seconds())
		return max(time.Duration(d)*time.Second, o.After)
	}
	r := a.do.Retry
	limit := maxDelay
	if r.MaxDelay > 0 {
		limit = min(limit, r.MaxDelay)
	}
	most := min(float64(r.Delay)*math.Pow(r.Factor, n), float64(limit))
	jitter := draw{a.m, a.env.path, a.step.Place + " retry"}
	return max(time.Duration(jitter.fraction()*most), o.After)
}

// watch asks for receipts, for so long.
func (a *activity) watch(d time.Duration, late func()) {
	a.stopTimer()
	a.timer = a.m.sleep(a.m.now.Add(d), late)
	if !a.m.watches[a.key] {
		put(&a.m.watches, a.key, true)
		a.m.out = append(a.m.out, Watch{a.key})
	}
}

// receive takes a receipt for the attempt; a repeated one has no effect.
func (a *activity) receive(r call.Receipt) {
	for _, known := range a.receipts {
		if r.ID != "" && r.ID == known.ID {
			return
		}
	}
	data, _ := stored(r.Data)
	r.Data, _ = data.(map[string]any)
	r.Error = canonicalError(r.Error)
	a.receipts = append(a.receipts, r)
	switch a.phase {
	case settling, awaiting:
		a.consider(r)
	case backoff:
		a.settled()
	}
}

// consult considers the receipts that came so far, and tells whether one of them
// changed what the attempt waits for.
func (a *activity) consult() bool {
	before := a.phase
	for _, r := range a.receipts {
		if a.consider(r); a.phase != before {
			return true
		}
	}
	return false
}

// consider goes on after a receipt, while the attempt waits for one.
func (a *activity) consider(r call.Receipt) {
	sig := a.do.Signature
	if sig.Settle == nil {
		return
	}
	want := ""
	if a.phase == awaiting {
		want = a.do.Await.State
	}
	o := sig.Settle(a.input, a.outputs, r, want)
	if o.Status != call.Succeeded && o.Status != call.Failed && o.Status != call.Pending {
		return
	}
	if o.Output != nil {
		a.outputs = withAlways(sig.Out, canonical(sig.Out, o.Output))
	}
	switch {
	case o.Status == call.Succeeded && a.phase == settling:
		a.happened()
	case o.Status == call.Succeeded:
		a.finish(nil)
	case o.Status == call.Failed: // refused after it was accepted: never tried again by us
		err := canonicalError(o.Error)
		if err == nil {
			err = &call.Error{Code: "failed", Class: "permanent", Message: "a receipt says that it failed"}
		}
		a.finish(err)
	}
}
