package machine

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Retryable tells whether the run may go on with Retried: it has ended, failed or
// cancelled, and what would be done again is known not to have happened, or resend says
// that it may be done again all the same. The error is a *RetryError. It changes nothing.
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
//   - `finally` and `on_failure` come once more, as they come after what is done again.
//     Their conditions and variables are evaluated anew; what they wrote the first time
//     is forgotten. But a call of theirs that succeeded is not made again, unless making
//     it twice is harmless, and a wait that was over is.
//   - A call that was accepted is never made again: a step that waited for its receipts in
//     vain, or was stopped meanwhile, waits for them again. A step that a late receipt has
//     shown to have happened has succeeded.
//   - A call that may have happened is made again only with resend, or if making it twice
//     is harmless.
func (m *Machine) Retryable(resend bool) error {
	switch {
	case m.result == nil:
		return &RetryError{Reason: "the run has not ended: only one that failed or was cancelled can be retried"}
	case m.again == nil:
		return &RetryError{Reason: "the run has succeeded: there is nothing to do again"}
	case resend:
		return nil
	}
	if unknown := m.again.unknown(nil); len(unknown) > 0 {
		return &RetryError{
			Reason:  strings.Join(unknown, ", ") + " may have happened already: settle that, or retry with resend",
			Unknown: unknown,
		}
	}
	return nil
}

// A RetryError says why a run cannot be retried.
type RetryError struct {
	Reason string
	// Unknown are the paths of the steps that may have happened and would be done again;
	// none when it is not about them.
	Unknown []string
}

func (e *RetryError) Error() string { return e.Reason }

// An again is how steps that failed, or were stopped, go on when the run is retried.
type again struct {
	open  func()   // the steps around them, nil: nothing
	inner []*again // then what is inside …
	do    func()   // … or what is to be done; nil: nothing
	call  *activity
}

// start makes the steps go on, from the outside in.
func (a *again) start(m *Machine) {
	if a.open != nil {
		a.open()
	}
	for _, inner := range a.inner {
		inner.start(m)
	}
	if a.do != nil {
		m.later(todo(a.do))
	}
}

// unknown adds the paths of the steps that must not be done again as it is.
func (a *again) unknown(paths []string) []string {
	if c := a.call; c != nil && !c.repeatable && c.m.that(c.report, doubtful) != nil && c.m.that(c.report, happened) == nil &&
		!slices.Contains(paths, c.report.Path) {
		paths = append(paths, c.report.Path)
	}
	for _, inner := range a.inner {
		paths = inner.unknown(paths)
	}
	return paths
}

// onRetried makes the run go on. It was found to be retryable.
func (m *Machine) onRetried(e Retried) {
	start := m.again
	m.result, m.again, m.resend = nil, nil, e.Resend
	m.root.stopped = going
	start.start(m)
}

// A past is what became of a step in a finally or in on_failure: such a step may be
// come to again, after a retry.
type past struct {
	report  *Step
	status  Status // as it had ended, "" the first time
	outputs map[string]any
	call    *activity
	items   []any // of a foreach
}

func (m *Machine) past(e *env, report *Step) *past {
	if !e.last {
		return nil
	}
	return m.pasts[report.Path]
}

// sameItems makes a foreach that is come to again do anew what another item was given
// the last time.
func (m *Machine) sameItems(e *env, report *Step, items []any) {
	before := m.past(e, report)
	if before == nil {
		return
	}
	for i := range min(len(items), len(before.items)) {
		if bytes.Equal(appendValue(nil, items[i], nil), appendValue(nil, before.items[i], nil)) {
			continue
		}
		inside := report.Path + "[" + strconv.Itoa(i) + "]."
		maps.DeleteFunc(m.pasts, func(path string, _ *past) bool { return strings.HasPrefix(path, inside) })
	}
	before.items = items
}

// stays tells whether the step has no more calls to make, whoever comes to it again.
func (a *activity) stays() bool {
	m := a.m
	switch {
	case a.repeatable || len(a.report.Keys) == 0:
		return false
	case m.that(a.report, happened) != nil:
		return true
	}
	return !m.resend && m.that(a.report, doubtful) != nil
}

// resume goes on with a step that was done before.
func (a *activity) resume() {
	m := a.m
	a.env.group.add(a, &a.hook)
	a.before = a.report.Attempts
	a.phase = over
	switch at := m.that(a.report, happened); {
	case at != nil:
		a.standFor(at)
		a.accepted()
	case a.stays():
		a.finish(a.told.err)
	default:
		a.try()
	}
}
