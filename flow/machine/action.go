package machine

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"facteur/flow/call"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An activity carries out one action step: its attempts, and the receipts after them.
type activity struct {
	m      *Machine
	step   *plan.Step
	do     *plan.Action
	env    *env
	path   string
	report *Step
	done   func(result, map[string]any)
	input  map[string]any
	limits []call.Limit
	cur    *attempt
	leave  func() // of the group
}

// phase is what an attempt waits for.
type phase uint8

const (
	calling   phase = iota // its outcome
	backoff                // the next attempt
	settling               // a receipt that tells whether it happened
	awaiting               // a receipt that shows the awaited state
	over                   // nothing
	withdrawn              // nothing: it was never taken up
)

// An attempt is one call of an activity.
type attempt struct {
	act      *activity
	key      string
	print    string
	phase    phase
	taken    bool
	answered bool
	late     bool // its time-out passed before its outcome came
	outputs  map[string]any
	err      *call.Error // of the last outcome
	drop     func()      // its timer, if any
}

func (m *Machine) action(s *plan.Step, do *plan.Action, e *env, report *Step, done func(result, map[string]any)) {
	a := &activity{m: m, step: s, do: do, env: e, path: e.path + s.Place, report: report, done: done}
	x, f := m.eval(do.With, e, s.Place)
	if f != nil {
		done(f.result(), withAlways(do.Signature.Out, nil))
		return
	}
	coerced, found := do.Signature.In.Coerce(x)
	if found.Err() == nil && do.Signature.Check != nil {
		found = do.Signature.Check(schema.NewValue(coerced, &schema.Watch{}))
	}
	if err := found.Err(); err != nil {
		// Nothing was sent: the mistake is this step's alone.
		f := &failure{step: a.path, err: &call.Error{Code: "invalid_input", Class: "permanent", Message: err.Error()}}
		done(f.result(), withAlways(do.Signature.Out, nil))
		return
	}
	a.input, _ = coerced.(map[string]any)
	if do.Signature.Limits != nil {
		a.limits = do.Signature.Limits(a.input)
	}
	a.leave = e.group.onStop(a.stop)
	a.try()
}

// try makes the next attempt.
func (a *activity) try() {
	m := a.m
	m.nextCall++
	a.report.Attempts++
	c := call.Call{
		Key: "f1." + m.start.Run + "." + strconv.Itoa(m.nextCall), Run: m.start.Run, Step: a.path,
		Attempt: a.report.Attempts, Action: a.do.Signature.Name, Connection: a.do.Connection,
		Input: a.input, Idempotent: a.do.Idempotent, Timeout: a.do.Timeout,
	}
	a.cur = &attempt{act: a, key: c.Key, print: print(c)}
	a.report.Keys = append(a.report.Keys, c.Key)
	m.calls[c.Key] = a.cur
	repeatable := a.do.Idempotent || a.do.Signature.Idempotent != nil && a.do.Signature.Idempotent(a.input)
	m.out = append(m.out, Call{Call: c, Limits: a.limits, Repeatable: repeatable, Print: a.cur.print})
}

func (t *attempt) sleep(d time.Duration, f func()) {
	t.stopTimer()
	t.drop = t.act.m.sleep(t.act.m.now.Add(d), f)
}

func (t *attempt) stopTimer() {
	if t.drop != nil {
		t.drop()
		t.drop = nil
	}
}

func (t *attempt) cancel() {
	t.act.m.out = append(t.act.m.out, Cancel{t.key})
}

func (t *attempt) onTaken() {
	t.taken = true
	a := t.act
	if r := a.do.Signature.Recipient; r != nil {
		if subject := r(a.input); subject != "" {
			a.m.lastCall[subject] = a.m.now
		}
	}
	if a.do.Timeout > 0 {
		t.sleep(a.do.Timeout, func() {
			t.drop = nil
			t.late = true
			t.cancel()
		})
	}
}

func (t *attempt) onAnswer(o call.Outcome) {
	t.answered = true
	t.stopTimer()
	a := t.act
	if o.Output != nil {
		if coerced, found := a.do.Signature.Out.Coerce(o.Output); found.Err() == nil {
			o.Output, _ = coerced.(map[string]any)
		}
	}
	t.outputs = withAlways(a.do.Signature.Out, o.Output)
	t.err = o.Error
	switch o.Status {
	case call.Succeeded, call.Pending:
		t.happened()
	case call.Failed:
		t.failed(o)
	case call.Cancelled:
		if t.late {
			t.failed(call.Outcome{Error: t.timeout(), Retryable: true})
			return
		}
		t.finish(&call.Error{Code: "cancelled", Class: "flow", Message: "the call was cancelled before it was made"})
	default:
		t.unknown()
	}
}

func (t *attempt) timeout() *call.Error {
	return &call.Error{Code: "timeout", Class: "timeout", Message: "no answer within " + schema.FormatDuration(t.act.do.Timeout)}
}

// happened goes on after a call that was accepted.
func (t *attempt) happened() {
	a := t.act
	if a.do.Await == nil {
		t.finish(nil)
		return
	}
	if a.env.group.stopped == cancelling {
		t.finish(&call.Error{Code: "cancelled", Class: "flow", Message: "the run was cancelled while it awaited " + a.do.Await.State})
		return
	}
	t.phase = awaiting
	t.watch()
	t.sleep(a.do.Await.Timeout, func() {
		t.drop = nil
		t.finish(&call.Error{
			Code: "timeout", Class: "timeout",
			Message: fmt.Sprintf("accepted, but not %s within %s", a.do.Await.State, schema.FormatDuration(a.do.Await.Timeout)),
		})
	})
	t.replay()
}

// unknown goes on after a call that may have happened.
func (t *attempt) unknown() {
	a := t.act
	settles := a.do.Signature.Settle != nil
	if settles && len(a.m.receipts[t.key]) > 0 {
		t.phase = settling
		if t.replay(); t.phase != settling {
			return
		}
	}
	if !settles || !a.m.start.Receipts || a.env.group.stopped != going {
		t.unsettled()
		return
	}
	t.phase = settling
	t.watch()
	t.sleep(a.do.UnknownTimeout, func() {
		t.drop = nil
		t.unsettled()
	})
}

func (t *attempt) watch() {
	if m := t.act.m; m.start.Receipts && !m.watches[t.key] {
		m.watches[t.key] = true
		m.out = append(m.out, Watch{t.key})
	}
}

// replay applies the receipts that came before they were asked for.
func (t *attempt) replay() {
	for _, r := range t.act.m.receipts[t.key] {
		if t.phase != settling && t.phase != awaiting {
			return
		}
		t.onReceipt(r)
	}
}

func (t *attempt) onReceipt(r call.Receipt) {
	a := t.act
	if t.phase != settling && t.phase != awaiting || a.do.Signature.Settle == nil {
		return
	}
	want := ""
	if a.do.Await != nil {
		want = a.do.Await.State
	}
	o := a.do.Signature.Settle(a.input, t.outputs, r, want)
	if o.Output != nil {
		t.outputs = withAlways(a.do.Signature.Out, o.Output)
	}
	switch o.Status {
	case call.Succeeded:
		t.finish(nil)
	case call.Failed:
		t.finish(o.Error) // refused after it was accepted: never tried again by us
	case call.Pending:
		if t.phase == settling {
			t.phase = calling
			t.happened()
		}
	}
}

// unsettled ends an attempt of which nobody knows whether it happened.
func (t *attempt) unsettled() {
	a := t.act
	if a.do.Resend && a.report.Attempts < a.most() && a.env.group.stopped == going {
		t.end()
		a.try()
		return
	}
	err := &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "no answer came: it may have happened"}
	if t.late {
		err.Message = "no answer within " + schema.FormatDuration(a.do.Timeout) + ": it may have happened"
	}
	if t.err != nil {
		err.Message = t.err.Message
		err.MetaCode, err.StatusCode, err.Details = t.err.MetaCode, t.err.StatusCode, t.err.Details
	}
	t.finish(err)
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

// failed goes on after a call that was definitely refused.
func (t *attempt) failed(o call.Outcome) {
	a := t.act
	err := o.Error
	if err == nil {
		err = &call.Error{Code: "failed", Class: "permanent", Message: "the call failed"}
	}
	t.err = err
	if !o.Retryable || a.do.Retry == nil || a.report.Attempts >= a.do.Retry.Attempts || a.env.group.stopped != going {
		t.finish(err)
		return
	}
	if when := a.do.Retry.When; when != nil {
		yes, f := a.m.holds(when, a.env.bind("error", err.Value(a.step.ID)), a.step.Place)
		if f != nil {
			a.report.Note = "retry.when: " + f.err.Message
		}
		if !yes {
			t.finish(err)
			return
		}
	}
	t.phase = backoff
	t.sleep(a.delay(o), func() {
		t.drop = nil
		t.end()
		a.try()
	})
}

// The pair limit's published back-off: 4^X seconds, X = 0, 1, 2 …, here with a cap.
const maxPairDelay = 256 * time.Second

// delay is how long to wait before the next attempt.
func (a *activity) delay(o call.Outcome) time.Duration {
	n := a.report.Attempts // made so far
	if o.Backoff == "pair" {
		d := maxPairDelay
		if n <= 4 {
			d = time.Duration(math.Pow(4, float64(n-1))) * time.Second
		}
		return max(d, o.After)
	}
	r := a.do.Retry
	most := float64(r.Delay) * math.Pow(r.Factor, float64(n-1))
	if limit := float64(r.MaxDelay); r.MaxDelay > 0 && most > limit {
		most = limit
	}
	jitter := &draw{m: a.m, place: a.path + " retry"}
	return max(time.Duration(jitter.fraction()*most), o.After)
}

// stop is called when the steps around the activity are stopped.
func (a *activity) stop(kind stopKind) {
	t := a.cur
	switch t.phase {
	case calling:
		switch {
		case !t.taken:
			t.cancel()
			t.phase = withdrawn
			t.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "not made: the steps around it were stopped"}, result{end: stopped})
		case kind == cancelling:
			t.cancel() // exactly one outcome still comes
		}
	case backoff:
		t.finish(t.err)
	case settling:
		t.unsettled()
	case awaiting:
		t.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "stopped while it awaited " + a.do.Await.State}, result{end: stopped})
	}
}

// end leaves nothing of the attempt that waits.
func (t *attempt) end() {
	t.stopTimer()
	delete(t.act.m.watches, t.key)
	if t.phase != withdrawn {
		t.phase = over
	}
}

// finish ends the activity; err is nil when it succeeded.
func (t *attempt) finish(err *call.Error) {
	if err == nil {
		t.finishAs(nil, result{})
		return
	}
	t.finishAs(err, (&failure{step: t.act.path, err: err}).result())
}

func (t *attempt) finishAs(err *call.Error, r result) {
	t.end()
	a := t.act
	a.leave()
	if t.outputs == nil {
		t.outputs = withAlways(a.do.Signature.Out, nil)
	}
	a.report.Error = err
	a.done(r, t.outputs)
}

var _ expr.Random = (*draw)(nil)
