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
	a      *activity // nil once the step has succeeded
	do     *plan.Action
	report *Step
	number int // of the step's, from 1
	n      int // of the run's calls, from 1
	key    string
	print  string

	handed    bool // the host was given the call
	taken     bool
	answered  bool
	late      bool // its time-out passed before its outcome came
	cancelled bool // the host was asked to end it
	shown     bool // the report of the step that ended tells of this attempt
	watched   bool // the host was asked for its receipts
	watching  bool // they are still wanted

	fate     fate
	outputs  map[string]any // of the answer and the receipts after it
	denied   map[string]any // the outputs before a person said that it did not happen
	err      *call.Error    // what they came to, nil when it may yet succeed
	receipts []call.Receipt
	state    string // the furthest that receipts have shown
}

// fate is what is known of an attempt.
type fate uint8

const (
	unanswered fate = iota
	undone          // it did not happen, or it was taken back after it was accepted
	happened        // it was accepted
	doubtful        // it may have happened, and nobody knows
)

// awaits is the state that the step waits for, "" when the answer is enough.
func (at *attempt) awaits() string {
	if at.do.Await == nil {
		return ""
	}
	return at.do.Await.State
}

// cancel asks the host to end a call that was taken up.
func (a *activity) cancel() {
	if !a.now.cancelled {
		a.now.cancelled = true
		a.m.out = append(a.m.out, Cancel{a.now.key})
	}
}

// count counts the attempt: from here on it may have happened.
func (a *activity) count() {
	a.now.taken = true
	a.report.Attempts = a.now.number
	a.report.Keys = append(a.report.Keys, a.now.key)
	m := a.m
	if r := a.do.Signature.Recipient; r != nil && m.listens {
		if subject := r(a.input); subject != "" {
			put(&m.lastCall, subject, m.now)
		}
	}
}

func (a *activity) onTaken() {
	a.count()
	if a.do.Timeout > 0 {
		a.timer = a.m.sleep(a.m.now.Add(a.do.Timeout), a)
	}
}

func (a *activity) onAnswer(o call.Outcome) {
	at, sig := a.now, a.do.Signature
	at.answered = true
	a.stopTimer()
	if o.Held {
		a.heldBack()
		return
	}
	if len(o.Output) == 0 && o.Status == call.Unknown {
		o.Output = sig.Lost
	}
	a.tell(at)
	at.outputs = withAlways(sig.Out, canonical(sig.Out, o.Output))
	at.err = canonicalError(o.Error)
	switch o.Status {
	case call.Succeeded:
		at.err = nil
		a.m.know(at, happened)
		a.finish(nil)
		for _, r := range at.receipts { // that overtook the answer
			a.m.correct(at, r)
		}
	case call.Pending:
		a.m.know(at, happened)
		a.accepted()
	case call.Failed:
		a.m.know(at, undone)
		a.refused(o)
	case call.Cancelled:
		a.m.know(at, undone)
		a.notMade()
	default:
		a.m.know(at, doubtful)
		a.unknown()
	}
}

// tell makes the step stand for an attempt that has an outcome.
func (a *activity) tell(at *attempt) {
	a.told = at
	a.report.State = at.state
}

// heldBack goes on after a call that was not tried, because the surroundings were not
// ready: it is no attempt, and the host takes the next one up when they are.
func (a *activity) heldBack() {
	at, m := a.now, a.m
	m.made[at.n-1] = nil
	a.report.Keys = a.report.Keys[:len(a.report.Keys)-1]
	a.report.Attempts = at.number - 1
	earlier := m.that(a.report, happened)
	switch {
	case earlier != nil: // as was learned meanwhile
		a.learn(earlier, call.Succeeded)
	case a.halted():
		a.notTaken()
	default:
		a.ask(at.number)
	}
}

// accepted goes on after a call that happened.
func (a *activity) accepted() {
	a.told.err = nil
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
		a.watch(want.Timeout)
	}
}

func (a *activity) awaitStopped() {
	a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "accepted; it was stopped before it was " + a.do.Await.State}, result{end: stopped})
}

// unknown goes on after a call that may have happened.
func (a *activity) unknown() {
	err := &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "no answer came: it may have happened"}
	if a.now.late {
		err.Message = "no answer within " + schema.FormatDuration(a.do.Timeout) + ": it may have happened"
	}
	if e := a.now.err; e != nil {
		err.Message = cmp.Or(e.Message, err.Message)
		err.MetaCode, err.StatusCode, err.Details = e.MetaCode, e.StatusCode, e.Details
	}
	a.now.err = err
	switch {
	case a.settled():
	case a.do.Signature.Settle == nil || !a.m.start.Receipts || a.halted():
		a.unsettled(true)
	default:
		a.phase = settling
		a.watch(a.do.UnknownTimeout)
	}
}

// unsettled goes on after a call of which nobody knows whether it happened.
func (a *activity) unsettled(delay bool) {
	switch {
	case !a.do.Resend || a.made() >= a.most() || a.halted():
		a.finish(a.now.err)
	case delay && a.do.Retry != nil:
		a.backOff(a.delay(call.Outcome{}))
	default:
		a.try()
	}
}

// made is how many attempts were made since the run was last retried.
func (a *activity) made() int { return a.now.number - a.before }

// most is how many there may be in all.
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
	case a.env.group.stopped >= cancelling:
		a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "cancelled before it was made"}, result{end: stopped})
	case a.now.late:
		a.now.err = &call.Error{Code: "timeout", Class: "timeout", Message: "no answer within " + schema.FormatDuration(a.do.Timeout)}
		a.refused(call.Outcome{Retryable: true})
	default:
		a.finish(cmp.Or(a.now.err, &call.Error{Code: "cancelled", Class: "flow", Message: "the call was cancelled before it was made"}))
	}
}

// refused goes on after a call that did not happen.
func (a *activity) refused(o call.Outcome) {
	if a.now.err == nil {
		a.now.err = &call.Error{Code: "failed", Class: "permanent", Message: "the call failed"}
	}
	if a.settled() { // a receipt shows that it did happen: it must not be repeated
		return
	}
	if !o.Retryable || a.do.Retry == nil || a.made() >= a.do.Retry.Attempts || a.halted() {
		a.finish(a.now.err)
		return
	}
	if when := a.do.Retry.When; when != nil {
		yes, f := a.m.holds(when, a.env.bind("error", a.now.err.Value(a.step.ID)), a.step.Place)
		if f != nil {
			a.report.Note = "retry.when: " + f.err.Message
		}
		if !yes {
			a.finish(a.now.err)
			return
		}
	}
	a.backOff(a.delay(o))
}

func (a *activity) backOff(d time.Duration) {
	a.phase = backoff
	a.timer = a.m.sleep(a.m.now.Add(d), a)
}

const (
	// The pair limit's published back-off: 4^X seconds, X = 0, 1, 2 …, here with a cap.
	maxPairDelay = 256 * time.Second
	// A growing delay without a limit of its own stops here.
	maxDelay = 7 * 24 * time.Hour
)

// delay is how long to wait before the next attempt.
func (a *activity) delay(o call.Outcome) time.Duration {
	n := float64(a.made() - 1)
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
func (a *activity) watch(d time.Duration) {
	a.stopTimer()
	a.timer = a.m.sleep(a.m.now.Add(d), a)
	at, m := a.now, a.m
	if at.watching {
		return
	}
	w := Watch{at.key}
	if !at.watched || !slices.Contains(m.out, Command(w)) {
		m.out = append(m.out, w)
	}
	at.watched, at.watching = true, true
}
