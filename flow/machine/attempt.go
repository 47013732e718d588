package machine

import (
	"cmp"
	"math"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An attempt is one call of a step. It outlives its step: receipts may come at any time.
type attempt struct {
	run         *actionRun // nil once the step has succeeded
	do          *plan.Action
	report      *Step
	number      int // of the step's, from 1
	n           int // of the run's calls, from 1
	key         string
	fingerprint string

	issued      bool // Next returned the call
	taken       bool
	answered    bool
	timedOut    bool // its time-out passed before its outcome came
	cancelled   bool // the host was asked to cancel it
	reported    bool // the step has ended, and its report shows this attempt
	everWatched bool // the host was asked for its receipts
	watching    bool // its receipts are still wanted

	effect    effect
	outputs   map[string]any // of the answer, updated by receipts
	preDenial map[string]any // the outputs before a person settled it as not happened; nil if nobody did
	err       *call.Error    // nil when it may yet succeed
	receipts  []call.Receipt
	state     string // the furthest state that receipts have shown
}

// effect is what is known of an attempt's effect on the world.
type effect uint8

const (
	effectPending  effect = iota // no outcome yet
	effectNone                   // it did not happen, or failed after it was accepted
	effectHappened               // it was accepted
	effectUnknown                // it may have happened
)

// awaitedState returns the state that the step awaits, "" when the answer is enough.
func (at *attempt) awaitedState() string {
	if at.do.Await == nil {
		return ""
	}
	return at.do.Await.State
}

// cancelCall asks the host to cancel the latest call, which was taken up.
func (a *actionRun) cancelCall() {
	if !a.latest.cancelled {
		a.latest.cancelled = true
		a.m.commands = append(a.m.commands, Cancel{a.latest.key})
	}
}

// noteTaken counts the latest attempt: from here on it may have happened.
func (a *actionRun) noteTaken() {
	a.latest.taken = true
	a.report.Attempts = a.latest.number
	a.report.Keys = append(a.report.Keys, a.latest.key)
	m := a.m
	if r := a.do.Signature.Recipient; r != nil && m.listens {
		if subject := r(a.input); subject != "" {
			put(&m.lastCall, subject, m.now)
		}
	}
}

func (a *actionRun) onTaken() {
	a.noteTaken()
	if a.do.Timeout > 0 {
		a.timer = a.m.startTimer(a.m.now.Add(a.do.Timeout), a)
	}
}

func (a *actionRun) onAnswer(o call.Outcome) {
	at, sig := a.latest, a.do.Signature
	at.answered = true
	a.stopTimer()
	if o.Held {
		a.onHeld()
		return
	}
	if len(o.Output) == 0 && o.Status == call.Unknown {
		o.Output = sig.UnknownOutput
	}
	a.setReported(at)
	at.outputs = withAlways(sig.Out, canonical(sig.Out, o.Output))
	at.err = canonicalError(o.Error)
	switch o.Status {
	case call.Succeeded:
		at.err = nil
		a.m.setEffect(at, effectHappened)
		a.finish(nil)
		for _, r := range at.receipts { // those that came before the answer
			a.m.correctReport(at, r)
		}
	case call.Pending:
		a.m.setEffect(at, effectHappened)
		a.onAccepted()
	case call.Failed:
		a.m.setEffect(at, effectNone)
		a.onFailed(o)
	case call.Cancelled:
		a.m.setEffect(at, effectNone)
		a.onCancelled()
	default:
		a.m.setEffect(at, effectUnknown)
		a.onUnknown()
	}
}

// setReported makes the outcome of an attempt that of the step.
func (a *actionRun) setReported(at *attempt) {
	a.reported = at
	a.report.State = at.state
}

// onHeld handles the outcome of a call that was not tried because the vault or its
// connection was not ready: it is not counted as an attempt, and the call is asked for again.
func (a *actionRun) onHeld() {
	at, m := a.latest, a.m
	m.attempts[at.n-1] = nil
	a.report.Keys = a.report.Keys[:len(a.report.Keys)-1]
	a.report.Attempts = at.number - 1
	earlier := m.latest(a.report, effectHappened)
	switch {
	case earlier != nil: // a receipt said so meanwhile
		a.conclude(earlier, call.Succeeded)
	case a.halted():
		a.onNotTaken()
	default:
		a.request(at.number)
	}
}

// onAccepted handles a call that happened.
func (a *actionRun) onAccepted() {
	a.reported.err = nil
	want := a.do.Await
	if want == nil {
		a.finish(nil)
		return
	}
	a.phase = awaiting
	switch {
	case a.applyReceipts():
	case a.halted():
		a.onAwaitStopped()
	case !a.m.start.Receipts:
		a.finish(&call.Error{Code: "timeout", Class: "timeout", Message: "accepted; whether it is " + want.State + " cannot be known, as no receipts reach this run"})
	default:
		a.watch(want.Timeout)
	}
}

func (a *actionRun) onAwaitStopped() {
	a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "accepted; it was stopped before it was " + a.do.Await.State}, result{end: stopped})
}

// onUnknown handles a call that may have happened.
func (a *actionRun) onUnknown() {
	err := &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "no answer came: it may have happened"}
	if a.latest.timedOut {
		err.Message = "no answer within " + schema.FormatDuration(a.do.Timeout) + ": it may have happened"
	}
	if e := a.latest.err; e != nil {
		err.Message = cmp.Or(e.Message, err.Message)
		err.MetaCode, err.StatusCode, err.Details = e.MetaCode, e.StatusCode, e.Details
	}
	a.latest.err = err
	switch {
	case a.decidedByReceipt():
	case a.do.Signature.Settle == nil || !a.m.start.Receipts || a.halted():
		a.onUnsettled(true)
	default:
		a.phase = settling
		a.watch(a.do.UnknownTimeout)
	}
}

// onUnsettled ends the step with an unknown outcome, or resends, when no receipt has settled
// it in time; delay tells whether to back off before a resend.
func (a *actionRun) onUnsettled(delay bool) {
	switch {
	case !a.do.Resend || a.attempts() >= a.maxAttempts() || a.halted():
		a.finish(a.latest.err)
	case delay && a.do.Retry != nil:
		a.backOff(a.delay(call.Outcome{}))
	default:
		a.nextAttempt()
	}
}

// attempts returns how many attempts were made since the run was last retried.
func (a *actionRun) attempts() int { return a.latest.number - a.earlier }

// maxAttempts returns how many attempts may be made, the first included.
func (a *actionRun) maxAttempts() int {
	switch {
	case a.do.Retry != nil:
		return a.do.Retry.Attempts
	case a.do.Resend:
		return 2
	}
	return 1
}

// onCancelled handles a call that was cancelled before it could happen.
func (a *actionRun) onCancelled() {
	switch {
	case a.decidedByReceipt():
	case a.env.group.stopped >= cancelling:
		a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "cancelled before it was made"}, result{end: stopped})
	case a.latest.timedOut:
		a.latest.err = &call.Error{Code: "timeout", Class: "timeout", Message: "no answer within " + schema.FormatDuration(a.do.Timeout)}
		a.onFailed(call.Outcome{Retryable: true})
	default:
		a.finish(cmp.Or(a.latest.err, &call.Error{Code: "cancelled", Class: "flow", Message: "the call was cancelled before it was made"}))
	}
}

// onFailed handles a call that did not happen.
func (a *actionRun) onFailed(o call.Outcome) {
	if a.latest.err == nil {
		a.latest.err = &call.Error{Code: "failed", Class: "permanent", Message: "the call failed"}
	}
	if a.decidedByReceipt() { // a call that happened after all must not be repeated
		return
	}
	if !o.Retryable || a.do.Retry == nil || a.attempts() >= a.do.Retry.Attempts || a.halted() {
		a.finish(a.latest.err)
		return
	}
	if when := a.do.Retry.When; when != nil {
		yes, f := a.m.condition(when, a.env.bind("error", a.latest.err.Value(a.step.ID)), a.step.Place)
		if f != nil {
			a.report.Note = "retry.when: " + f.err.Message
		}
		if !yes {
			a.finish(a.latest.err)
			return
		}
	}
	a.backOff(a.delay(o))
}

func (a *actionRun) backOff(d time.Duration) {
	a.phase = backoff
	a.timer = a.m.startTimer(a.m.now.Add(d), a)
}

const (
	// The pair limit's published back-off: 4^X seconds, X = 0, 1, 2 …, here with a cap.
	maxPairDelay = 256 * time.Second
	// The cap where the step sets none.
	maxDelay = 7 * 24 * time.Hour
)

// delay returns how long to back off before the next attempt.
func (a *actionRun) delay(o call.Outcome) time.Duration {
	n := float64(a.attempts() - 1)
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
	jitter := randomSource{a.m, a.env.pathPrefix, a.step.Place + " retry"}
	return max(time.Duration(jitter.fraction()*most), o.After)
}

// watch asks for the latest call's receipts, and gives up after d.
func (a *actionRun) watch(d time.Duration) {
	a.stopTimer()
	a.timer = a.m.startTimer(a.m.now.Add(d), a)
	at, m := a.latest, a.m
	if at.watching {
		return
	}
	w := Watch{at.key}
	if !at.everWatched || !slices.Contains(m.commands, Command(w)) {
		m.commands = append(m.commands, w)
	}
	at.everWatched, at.watching = true, true
}
