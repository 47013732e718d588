package machine

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Retryable returns nil if Retried may be applied, else a *RetryError: the run must have
// failed or been cancelled, and no call that would be repeated may have an unknown outcome,
// unless resend allows that. It changes nothing.
//
// A run that is retried goes back to where it failed, or was stopped, and goes on from
// there:
//
//   - Steps that succeeded stay as they are, with their outputs, and so do variables,
//     conditions, the cases of a switch and the items of a foreach that were evaluated,
//     waits that were over and events that were consumed. Random values are not drawn
//     again.
//   - What failed is done again: in a parallel every branch that failed or was stopped,
//     in a foreach every such iteration, in a called flow its steps that failed. A step
//     that was called before sends the same once more, and its attempts are counted on;
//     its `retry` and its time-outs begin anew. One that could not be evaluated is
//     evaluated again.
//   - A failure that the flow has dealt with is none: what `allow_failure`, a `catch` or
//     `on_timeout` let pass is not done again. A catch that itself failed goes on where it
//     did.
//   - `finally` and `on_failure` are executed once more, as they follow what is done again.
//     Their conditions and variables are evaluated anew; what they wrote the first time
//     is forgotten. But a call of theirs that succeeded is not made again, unless making
//     it twice is harmless, and a wait that has ended is not repeated.
//   - A call that was accepted is never made again: a step that waited for its receipts in
//     vain, or was stopped meanwhile, waits for them again. A step that a late receipt has
//     shown to have happened has succeeded.
//   - A call that may have happened is made again only with resend, or if making it twice
//     is harmless.
func (m *Machine) Retryable(resend bool) error {
	switch {
	case m.result == nil:
		return &RetryError{Reason: "the run has not ended: only one that failed or was cancelled can be retried"}
	case m.retry == nil:
		return &RetryError{Reason: "the run has succeeded: there is nothing to retry"}
	case resend:
		return nil
	}
	if unknown := m.retry.unknown(nil); len(unknown) > 0 {
		return &RetryError{
			Reason:  strings.Join(unknown, ", ") + " may have happened already: settle it first, or retry with resend",
			Unknown: unknown,
		}
	}
	return nil
}

// A RetryError says why a run cannot be retried.
type RetryError struct {
	Reason string
	// Unknown are the paths of the steps that would repeat a call whose outcome is unknown;
	// nil if that is not the reason.
	Unknown []string
}

func (e *RetryError) Error() string { return e.Reason }

// A retryPoint is where steps that failed, or were stopped, resume when the run is retried.
type retryPoint struct {
	reopen func()        // prepares the step around them; may be nil
	inner  []*retryPoint // resumed then
	do     func()        // called then; may be nil
	action *actionRun    // the step, if it is an action
}

// resume makes the steps go on, the outer ones first.
func (p *retryPoint) resume(m *Machine) {
	if p.reopen != nil {
		p.reopen()
	}
	for _, inner := range p.inner {
		inner.resume(m)
	}
	if p.do != nil {
		m.later(jobFunc(p.do))
	}
}

// unknown appends the paths of the steps that would repeat a call whose outcome is unknown.
func (p *retryPoint) unknown(paths []string) []string {
	if a := p.action; a != nil && !a.repeatable && a.m.latest(a.report, effectUnknown) != nil && a.m.latest(a.report, effectHappened) == nil &&
		!slices.Contains(paths, a.report.Path) {
		paths = append(paths, a.report.Path)
	}
	for _, inner := range p.inner {
		paths = inner.unknown(paths)
	}
	return paths
}

// onRetried makes the run go on; the caller has checked Retryable.
func (m *Machine) onRetried(e Retried) {
	retry := m.retry
	m.result, m.retry, m.resend = nil, nil, e.Resend
	m.root.stopped = notStopped
	retry.resume(m)
}

// A visit is what a step in a finally or in on_failure leaves for its next execution: after
// a retry such steps are executed again.
type visit struct {
	report  *Step
	status  Status // of the previous execution, "" during the first
	outputs map[string]any
	action  *actionRun // of an action
	items   []any      // of a foreach
}

// visit returns the visit of a step in a finally or in on_failure, nil for other steps.
func (m *Machine) visit(e *env, report *Step) *visit {
	if !e.cleanup {
		return nil
	}
	return m.visits[report.Path]
}

// forgetChangedItems forgets, when a foreach is executed again, the visits of iterations
// whose item was another one the last time: they run from their start.
func (m *Machine) forgetChangedItems(e *env, report *Step, items []any) {
	v := m.visit(e, report)
	if v == nil {
		return
	}
	for i := range min(len(items), len(v.items)) {
		if bytes.Equal(appendValue(nil, items[i], nil), appendValue(nil, v.items[i], nil)) {
			continue
		}
		inside := report.Path + "[" + strconv.Itoa(i) + "]."
		maps.DeleteFunc(m.visits, func(path string, _ *visit) bool { return strings.HasPrefix(path, inside) })
	}
	v.items = items
}

// callsDone reports whether the step, when it is executed again, must not make another
// call: one that must not be repeated happened, or may have.
func (a *actionRun) callsDone() bool {
	m := a.m
	switch {
	case a.repeatable || len(a.report.Keys) == 0:
		return false
	case m.latest(a.report, effectHappened) != nil:
		return true
	}
	return !m.resend && m.latest(a.report, effectUnknown) != nil
}

// resume continues a step that was executed before.
func (a *actionRun) resume() {
	m := a.m
	a.env.group.add(a, &a.hook)
	a.earlier = a.report.Attempts
	a.phase = over
	switch at := m.latest(a.report, effectHappened); {
	case at != nil:
		a.adopt(at)
		a.onAccepted()
	case a.callsDone():
		a.finish(a.reported.err)
	default:
		a.nextAttempt()
	}
}
