package machine

import (
	"fmt"
	"slices"

	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// An actionRun executes one action step: its attempts, one after the other, and the
// receipts after each.
type actionRun struct {
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
	hook       stopHook
	phase      phase
	timer      int
	earlier    int      // attempts that were made before the run was last retried
	latest     *attempt // made, or asked for
	reported   *attempt // whose outcome is the step's, usually the latest with one; nil before there is one
}

// phase is what an actionRun waits for.
type phase uint8

const (
	calling  phase = iota // the outcome of the latest attempt
	backoff               // the time of the next attempt
	settling              // a receipt that settles an unknown outcome
	awaiting              // a receipt with the awaited state
	over                  // nothing: the step has ended
)

func (m *Machine) action(s *plan.Step, do *plan.Action, e *env, report *Step, done func(result, map[string]any)) {
	a := inlineOrNew(&m.inline.action, m.inline.action.m == nil)
	*a = actionRun{m: m, step: s, do: do}
	if v := m.visit(e, report); v != nil && v.action != nil {
		a = v.action
	} else if v != nil {
		v.action = a
	}
	a.env, a.report, a.done = e, report, done
	if a.callsDone() {
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
	a.earlier = report.Attempts
	a.nextAttempt()
}

// evaluate returns the action's input.
func (a *actionRun) evaluate() (map[string]any, *failure) {
	x, f := a.m.eval(a.do.With, a.env, a.step.Place)
	if f != nil {
		return nil, f
	}
	x, found := a.do.Input(x)
	if found.Err() != nil {
		// Nothing was sent: the mistake is this step's alone.
		return nil, &failure{err: &call.Error{Code: "invalid_input", Class: "permanent", Message: a.refusal(found)}}
	}
	input, _ := x.(map[string]any)
	return input, nil
}

// refusal says why the input was refused, and how to correct it. Where values are sensitive
// there are no hints: they may hold what was made of a value, which masking does not find.
func (a *actionRun) refusal(found schema.Violations) string {
	if len(a.m.sensitive) > 0 || a.step.Sensitive {
		return found.Error()
	}
	hinted := slices.Clone(found)
	for i, v := range hinted {
		if v.Hint != "" && !v.Hidden {
			hinted[i].Message += " (" + v.Hint + ")"
		}
	}
	return hinted.Error()
}

func (a *actionRun) nextAttempt() { a.request(a.report.Attempts + 1) }

// request asks the host for a call, under a new key; number is the attempt's.
func (a *actionRun) request(number int) {
	a.release()
	m := a.m
	if m.start.Gaps && a.mayReceive() {
		m.attempts = append(m.attempts, nil)
	}
	n := len(m.attempts) + 1
	at := inlineOrNew(&m.inline.attempt, m.inline.attempt.key == "")
	*at = attempt{run: a, do: a.do, report: a.report, number: number, n: n, key: m.Key(n)}
	m.attempts = append(m.attempts, at)
	a.latest, a.phase = at, calling
	first := at.key
	if len(a.report.Keys) > 0 {
		first = a.report.Keys[0]
	}
	c := &Call{
		Call: call.Call{
			Key: at.key, First: first, Run: m.start.Run, Step: a.report.Path, Attempt: number,
			Action: a.do.Signature.Name, Connection: a.do.Connection,
			Input: a.input, Idempotent: a.do.Idempotent, Timeout: a.do.Timeout, Await: at.awaitedState(),
		},
		Limits: a.limits, Repeatable: a.repeatable, Prepares: a.prepares, Doubtful: a.doubtful(),
	}
	c.Fingerprint = fingerprint(&c.Call)
	at.fingerprint = c.Fingerprint
	m.commands = append(m.commands, c)
}

// mayReceive reports whether receipts may still come for an earlier call of the step: one
// that was not simply refused.
func (a *actionRun) mayReceive() bool {
	return len(a.doubtful()) > 0 || slices.ContainsFunc(a.report.Keys, func(key string) bool { return len(a.m.call(key).receipts) > 0 })
}

// doubtful returns the keys of the step's calls that may have happened, those included that
// a person settled as not happened.
func (a *actionRun) doubtful() (keys []string) {
	for _, key := range a.report.Keys {
		if at := a.m.call(key); at.effect == effectUnknown || at.preDenial != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// release ends all that the step waits for.
func (a *actionRun) release() {
	a.stopTimer()
	if a.latest != nil {
		a.latest.watching = false
	}
	a.phase = over
}

func (a *actionRun) stopTimer() {
	a.m.stopTimer(a.timer)
	a.timer = 0
}

// fired handles the end of the current phase's time.
func (a *actionRun) fired() {
	switch a.phase {
	case calling:
		a.latest.timedOut = true
		a.cancelCall()
	case backoff:
		a.nextAttempt()
	case settling:
		a.onUnsettled(false)
	case awaiting:
		want := a.do.Await
		a.finish(&call.Error{
			Code: "timeout", Class: "timeout",
			Message: fmt.Sprintf("accepted, but not %s within %s", want.State, schema.FormatDuration(want.Timeout)),
		})
	}
}

// halted reports whether the step must start nothing new.
func (a *actionRun) halted() bool { return a.env.group.stopped != notStopped }

// finish ends the step; err is nil when it succeeded.
func (a *actionRun) finish(err *call.Error) {
	if err == nil {
		a.finishAs(nil, result{})
		return
	}
	a.finishAs(err, (&failure{err: err}).result())
}

func (a *actionRun) finishAs(err *call.Error, r result) {
	a.release()
	a.hook.drop()
	a.report.Error = err
	var outputs map[string]any
	if a.reported != nil {
		outputs, a.reported.reported = a.reported.outputs, true
	}
	if r.end == completed {
		a.releaseInput()
	} else {
		r.retry = &retryPoint{action: a, do: a.resume}
	}
	a.done(r, outputs)
}

// releaseInput frees what only a step needs that may be executed again.
func (a *actionRun) releaseInput() {
	a.input, a.limits = nil, nil
	if a.m.visit(a.env, a.report) != nil {
		return // a retry may execute the step again
	}
	for _, key := range a.report.Keys {
		a.m.call(key).run = nil
	}
}

// stop ends the step as far as it can be ended, because its group is stopped.
func (a *actionRun) stop(kind stopKind) {
	switch a.phase {
	case calling:
		switch {
		case !a.latest.taken:
			a.m.withdraw(a.latest)
			a.onNotTaken()
		case kind == timedOut:
			a.cancelCall()
		default: // a call that is under way is not cut off: its outcome matters
		}
	case backoff, settling:
		a.finish(a.reported.err)
	case awaiting:
		a.onAwaitStopped()
	}
}

// onNotTaken ends the step because it was stopped before its call was taken up.
func (a *actionRun) onNotTaken() {
	if a.reported != nil && a.reported.err != nil { // the previous attempt's
		a.finish(a.reported.err)
		return
	}
	a.finishAs(&call.Error{Code: "cancelled", Class: "flow", Message: "not made: the steps around it were stopped"}, result{end: stopped})
}
