package machine

import (
	"strconv"

	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An activity carries out one action step: its attempts, one after the other, and the
// receipts after each.
type activity struct {
	m          *Machine
	step       *plan.Step
	do         *plan.Action
	env        *env
	report     *Step
	done       func(result, map[string]any)
	input      map[string]any
	limits     []call.Limit
	repeatable bool
	stop       *hook
	outputs    map[string]any // of the latest answer and the receipts after it
	err        *call.Error    // what the latest attempt came to, nil when it may yet succeed

	// Of the attempt that is made now.
	attempt   int // from 1
	key       string
	print     string
	phase     phase
	handed    bool // the host was given the call
	taken     bool
	answered  bool
	late      bool // its time-out passed before its outcome came
	cancelled bool // the host was asked to end it
	receipts  []call.Receipt
	timer     int
}

// phase is what an attempt waits for.
type phase uint8

const (
	calling  phase = iota // its outcome
	backoff               // the next attempt
	settling              // a receipt that tells whether it happened
	awaiting              // a receipt that shows the awaited state
	over                  // nothing
)

func (m *Machine) action(s *plan.Step, do *plan.Action, e *env, report *Step, done func(result, map[string]any)) {
	x, f := m.eval(do.With, e, s.Place)
	if f != nil {
		done(f.result(), nil)
		return
	}
	sig := do.Signature
	x, found := sig.In.Coerce(x)
	if found.Err() == nil && sig.Check != nil {
		found = sig.Check(schema.NewValue(x, &schema.Watch{}))
	}
	if err := found.Err(); err != nil {
		// Nothing was sent: the mistake is this step's alone.
		f := &failure{err: &call.Error{Code: "invalid_input", Class: "permanent", Message: err.Error()}}
		done(f.result(), nil)
		return
	}
	a := &activity{m: m, step: s, do: do, env: e, report: report, done: done}
	a.input, _ = x.(map[string]any)
	if sig.Limits != nil {
		a.limits = sig.Limits(a.do.Connection, a.input)
	}
	a.repeatable = do.Idempotent || sig.Idempotent != nil && sig.Idempotent(a.input)
	a.stop = e.group.onStop(a.stopped)
	a.try()
}

// try makes the next attempt.
func (a *activity) try() {
	a.leave()
	m := a.m
	m.nextCall++
	a.attempt++
	a.key = m.callKeys + strconv.Itoa(m.nextCall)
	a.phase, a.receipts = calling, nil
	a.handed, a.taken, a.answered, a.late, a.cancelled = false, false, false, false, false
	m.calls[a.key] = a
	c := Call{
		Call: call.Call{
			Key: a.key, Run: m.start.Run, Step: a.report.Path, Attempt: a.attempt,
			Action: a.do.Signature.Name, Connection: a.do.Connection,
			Input: a.input, Idempotent: a.do.Idempotent, Timeout: a.do.Timeout, Await: a.awaits(),
		},
		Limits: a.limits, Repeatable: a.repeatable,
	}
	a.print, m.buf = print(&c.Call, m.buf)
	c.Print = a.print
	m.out = append(m.out, c)
}

// leave lets go of everything that the attempt waits for.
func (a *activity) leave() {
	a.stopTimer()
	delete(a.m.calls, a.key)
	delete(a.m.watches, a.key)
	a.phase = over
}

func (a *activity) stopTimer() {
	a.m.drop(a.timer)
	a.timer = 0
}

func (a *activity) cancel() {
	if !a.cancelled {
		a.cancelled = true
		a.m.out = append(a.m.out, Cancel{a.key})
	}
}

// onTaken counts the attempt: from here on it may have happened.
func (a *activity) onTaken() {
	a.taken = true
	a.report.Attempts = a.attempt
	a.report.Keys = append(a.report.Keys, a.key)
	m := a.m
	if r := a.do.Signature.Recipient; r != nil {
		if subject := r(a.input); subject != "" {
			m.lastCall[subject] = m.now
		}
	}
	if a.do.Timeout > 0 {
		a.timer = m.sleep(m.now.Add(a.do.Timeout), func() {
			a.late = true
			a.cancel()
		})
	}
}

func (a *activity) onAnswer(o call.Outcome) {
	a.answered = true
	a.stopTimer()
	sig := a.do.Signature
	if len(o.Output) == 0 && o.Status == call.Unknown {
		o.Output = sig.Lost
	}
	a.outputs = withAlways(sig.Out, canonical(sig.Out, o.Output))
	a.err = canonicalError(o.Error)
	switch o.Status {
	case call.Succeeded:
		a.err = nil
		a.finish(nil)
	case call.Pending:
		a.happened()
	case call.Failed:
		a.refused(o)
	case call.Cancelled:
		a.notMade()
	default:
		a.unknown()
	}
}

// finish ends the step; err is nil when it succeeded.
func (a *activity) finish(err *call.Error) {
	if err == nil {
		a.finishAs(nil, result{})
		return
	}
	a.finishAs(err, (&failure{err: err}).result())
}

func (a *activity) finishAs(err *call.Error, r result) {
	a.leave()
	a.stop.drop()
	a.report.Error = err
	a.done(r, a.outputs)
}

func (a *activity) halted() bool { return a.env.group.stopped != going }

// stopped is called when the steps around the activity are stopped.
func (a *activity) stopped(kind stopKind) {
	switch a.phase {
	case calling:
		switch {
		case a.taken && kind == cancelling:
			a.cancel() // exactly one outcome still comes
		case !a.taken:
			a.m.withdraw(a)
			if a.err != nil { // of the attempt before
				a.finish(a.err)
				return
			}
			a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "not made: the steps around it were stopped"}, result{end: stopped})
		}
	case backoff, settling:
		a.finish(a.err)
	case awaiting:
		a.awaitStopped()
	}
}
