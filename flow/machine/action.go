package machine

import (
	"fmt"
	"slices"

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
	prepares   bool
	hook       hook
	phase      phase
	timer      int
	before     int      // attempts that were made before the run was last retried
	now        *attempt // the latest, made or to be made
	told       *attempt // the one that the step stands for: the latest with an outcome; nil before there is one
}

// phase is what an activity waits for.
type phase uint8

const (
	calling  phase = iota // the outcome of its attempt
	backoff               // the next attempt
	settling              // a receipt that tells whether it happened
	awaiting              // a receipt that shows the awaited state
	over                  // nothing: the step has ended
)

func (m *Machine) action(s *plan.Step, do *plan.Action, e *env, report *Step, done func(result, map[string]any)) {
	a := first(&m.room.activity, m.room.activity.m == nil)
	*a = activity{m: m, step: s, do: do}
	if past := m.past(e, report); past != nil && past.call != nil {
		a = past.call
	} else if past != nil {
		past.call = a
	}
	a.env, a.report, a.done = e, report, done
	if a.stays() {
		a.resume()
		return
	}
	input, f := a.evaluate()
	if f != nil {
		done(f.result(), nil)
		return
	}
	a.input, a.limits = input, nil
	if limits := do.Signature.Limits; limits != nil {
		a.limits = limits(do.Connection, input)
	}
	a.repeatable = do.Idempotent || do.Signature.Idempotent != nil && do.Signature.Idempotent(input)
	a.prepares = do.Signature.Prepares != nil && do.Signature.Prepares(input)
	e.group.add(a, &a.hook)
	a.before = report.Attempts
	a.try()
}

// evaluate returns what the step gives to the action.
func (a *activity) evaluate() (map[string]any, *failure) {
	x, f := a.m.eval(a.do.With, a.env, a.step.Place)
	if f != nil {
		return nil, f
	}
	x, found := a.do.Input(x)
	if err := found.Err(); err != nil {
		// Nothing was sent: the mistake is this step's alone.
		return nil, &failure{err: &call.Error{Code: "invalid_input", Class: "permanent", Message: err.Error()}}
	}
	input, _ := x.(map[string]any)
	return input, nil
}

// try makes the next attempt.
func (a *activity) try() { a.ask(a.report.Attempts + 1) }

// ask asks for a call, under a key of its own.
func (a *activity) ask(number int) {
	a.leave()
	m := a.m
	if m.start.Gaps && a.isHeardOf() {
		m.made = append(m.made, nil)
	}
	n := len(m.made) + 1
	at := first(&m.room.attempt, m.room.attempt.key == "")
	*at = attempt{a: a, do: a.do, report: a.report, number: number, n: n, key: m.Key(n)}
	m.made = append(m.made, at)
	a.now, a.phase = at, calling
	initial := at.key
	if len(a.report.Keys) > 0 {
		initial = a.report.Keys[0]
	}
	c := &Call{
		Call: call.Call{
			Key: at.key, First: initial, Run: m.start.Run, Step: a.report.Path, Attempt: number,
			Action: a.do.Signature.Name, Connection: a.do.Connection,
			Input: a.input, Idempotent: a.do.Idempotent, Timeout: a.do.Timeout, Await: at.awaits(),
		},
		Limits: a.limits, Repeatable: a.repeatable, Prepares: a.prepares, Doubtful: a.doubtful(),
	}
	c.Print = printOf(&c.Call)
	at.print = c.Print
	m.out = append(m.out, c)
}

// isHeardOf tells whether news may come of an earlier call of the step, which was not just
// refused.
func (a *activity) isHeardOf() bool {
	return len(a.doubtful()) > 0 || slices.ContainsFunc(a.report.Keys, func(key string) bool { return len(a.m.call(key).receipts) > 0 })
}

// doubtful returns the calls of the step that may have happened, whatever a person says.
func (a *activity) doubtful() (keys []string) {
	for _, key := range a.report.Keys {
		if at := a.m.call(key); at.fate == doubtful || at.denied != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// leave lets go of everything that the activity waits for.
func (a *activity) leave() {
	a.stopTimer()
	if a.now != nil {
		a.now.watching = false
	}
	a.phase = over
}

func (a *activity) stopTimer() {
	a.m.drop(a.timer)
	a.timer = 0
}

// fired goes on when the time is over for what the activity waits for.
func (a *activity) fired() {
	switch a.phase {
	case calling:
		a.now.late = true
		a.cancel()
	case backoff:
		a.try()
	case settling:
		a.unsettled(false)
	case awaiting:
		want := a.do.Await
		a.finish(&call.Error{
			Code: "timeout", Class: "timeout",
			Message: fmt.Sprintf("accepted, but not %s within %s", want.State, schema.FormatDuration(want.Timeout)),
		})
	}
}

func (a *activity) halted() bool { return a.env.group.stopped != going }

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
	a.hook.drop()
	a.report.Error = err
	var outputs map[string]any
	if a.told != nil {
		outputs, a.told.shown = a.told.outputs, true
	}
	if r.end == completed {
		a.forget()
	} else {
		r.again = &again{call: a, do: a.resume}
	}
	a.done(r, outputs)
}

// forget lets go of what only a step needs that may be done again.
func (a *activity) forget() {
	a.input, a.limits = nil, nil
	if a.m.past(a.env, a.report) != nil {
		return // a retry may come to the step once more
	}
	for _, key := range a.report.Keys {
		a.m.call(key).a = nil
	}
}

// stop ends what can be ended, as the steps around the activity are stopped.
func (a *activity) stop(kind stopKind) {
	switch a.phase {
	case calling:
		switch {
		case !a.now.taken:
			a.m.withdraw(a.now)
			a.notTaken()
		case kind == expired:
			a.cancel()
		default: // a call that is under way is not cut off: what becomes of it matters
		}
	case backoff, settling:
		a.finish(a.told.err)
	case awaiting:
		a.awaitStopped()
	}
}

// notTaken ends the step because it was stopped before its call was taken up.
func (a *activity) notTaken() {
	if a.told != nil && a.told.err != nil { // of the attempt before
		a.finish(a.told.err)
		return
	}
	a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "not made: the steps around it were stopped"}, result{end: stopped})
}
