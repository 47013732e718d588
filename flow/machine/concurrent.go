package machine

import (
	"cmp"
	"slices"
	"strconv"

	"facteur/flow/plan"
	"facteur/flow/schema"
)

// foreach runs the steps of a foreach for each item, do.Concurrency at a time.
func (m *Machine) foreach(s *plan.Step, do *plan.Foreach, e *env, report *Step, done func(result, map[string]any)) {
	x, f := m.eval(do.Items, e, s.Place)
	if f != nil {
		done(f.result(), nil)
		return
	}
	items, ok := x.([]any)
	if !ok && x != nil {
		_, found := schema.ListOf(schema.AnyType).Coerce(x)
		done(flowError("invalid_input", "foreach: "+found.Error()).result(), nil)
		return
	}
	m.forgetChangedItems(e, report, items)
	l := &foreachRun{
		m: m, step: s, do: do, env: e, report: report, group: e.group.child(),
		items: items, collected: make([]any, len(items)), done: done,
	}
	l.run()
}

// A foreachRun executes a foreach step.
type foreachRun struct {
	m         *Machine
	step      *plan.Step
	do        *plan.Foreach
	env       *env
	report    *Step
	group     *group
	items     []any
	next      int // the first item that has not started
	running   int
	collected []any
	failures  failures
	retries   pendingRetries // of the iterations that failed or were stopped
	returned  *result
	done      func(result, map[string]any)
	over      bool
}

// run starts as many iterations as may run at the same time, and finishes when none runs.
func (l *foreachRun) run() {
	for l.running < l.do.Concurrency && l.next < len(l.items) && l.returned == nil && l.group.stopped == notStopped {
		i := l.next
		l.next++
		l.running++
		inner := l.env.iteration(l.group, l.do.As, l.items[i])
		inner.pathPrefix = l.report.Path + "[" + strconv.Itoa(i) + "]."
		inner.placePrefix = l.step.Place + "."
		l.m.later(l.m.newBlock(l.do.Steps, inner, func(r result) { l.onIterationEnd(i, inner, r) }))
	}
	if l.running == 0 && !l.over {
		l.over = true
		l.finish()
	}
}

func (l *foreachRun) onIterationEnd(i int, inner *env, r result) {
	l.running--
	if r.end == completed && l.do.Collect != nil {
		x, f := l.m.eval(l.do.Collect, inner, "collect")
		if f != nil {
			r = f.result().retryWith(func() { l.onIterationEnd(i, inner, result{}) })
		}
		l.collected[i] = x
	}
	switch r.end {
	case failed:
		l.failures.add(i, r.failure)
		if !l.step.AllowFailure {
			l.retries.add(i, r.retry)
			l.group.stop(siblingFailed)
		}
	case stopped:
		l.retries.add(i, r.retry)
	case returned:
		l.returned = &r
	}
	l.m.later(l)
}

func (l *foreachRun) finish() {
	l.group.leave()
	r := l.failures.result(l.env.group)
	if l.returned != nil {
		r = *l.returned
	}
	if r.end == failed || r.end == stopped {
		r.retry = &retryPoint{reopen: l.reopen, inner: l.retries.all(), do: l.run}
	}
	l.done(r, map[string]any{"items": l.collected})
}

// reopen prepares the loop to go on, after a retry, with the iterations that failed or were
// stopped, and with those that had not started.
func (l *foreachRun) reopen() {
	l.group.join(l.env.group)
	l.running, l.over, l.retries = len(l.retries), false, nil
	l.collected = slices.Clone(l.collected)
	if !l.step.AllowFailure {
		l.failures = failures{}
	}
}

// failures keeps, of steps that run at the same time, the failure of the first by position.
type failures struct {
	at    int
	first *failure
}

func (f *failures) add(at int, one *failure) {
	if f.first == nil || at < f.at {
		f.at, f.first = at, one
	}
}

// result returns how the step ended; g is its group.
func (f *failures) result(g *group) result {
	switch {
	case g.stopped >= cancelling, g.stopped != notStopped && f.first == nil:
		return result{end: stopped}
	case f.first != nil:
		return f.first.result()
	}
	return result{}
}

// pendingRetries are where a retry resumes the branches or iterations that failed or were
// stopped.
type pendingRetries []pendingRetry

type pendingRetry struct {
	at    int
	point *retryPoint
}

func (l *pendingRetries) add(at int, point *retryPoint) { *l = append(*l, pendingRetry{at, point}) }

// all returns the retry points in the order of their positions.
func (l pendingRetries) all() []*retryPoint {
	slices.SortFunc(l, func(a, b pendingRetry) int { return cmp.Compare(a.at, b.at) })
	out := make([]*retryPoint, len(l))
	for i := range l {
		out[i] = l[i].point
	}
	return out
}

// A parallelRun executes a parallel step.
type parallelRun struct {
	m        *Machine
	env      *env
	group    *group
	running  int
	failures failures
	retries  pendingRetries
	done     func(result, map[string]any)
}

// parallel runs its branches at the same time.
func (m *Machine) parallel(do *plan.Parallel, e *env, done func(result, map[string]any)) {
	if len(do.Branches) == 0 {
		done(result{}, nil)
		return
	}
	f := &parallelRun{m: m, env: e, group: e.group.child(), running: len(do.Branches), done: done}
	for i, b := range do.Branches {
		inner := e.branch(f.group)
		m.later(m.newBlock(b.Steps, inner, func(r result) { f.onBranchEnd(i, r) }))
	}
}

func (f *parallelRun) onBranchEnd(i int, r result) {
	switch r.end {
	case failed:
		f.failures.add(i, r.failure)
		f.retries.add(i, r.retry)
		f.group.stop(siblingFailed)
	case stopped:
		f.retries.add(i, r.retry)
	}
	if f.running--; f.running == 0 {
		f.finish()
	}
}

func (f *parallelRun) finish() {
	f.group.leave()
	r := f.failures.result(f.env.group)
	if r.end != completed {
		r.retry = &retryPoint{reopen: f.reopen, inner: f.retries.all()}
		if len(f.retries) == 0 { // it was stopped as its last branch ended
			r.retry.do = f.finish
		}
	}
	f.done(r, nil)
}

func (f *parallelRun) reopen() {
	f.group.join(f.env.group)
	f.running, f.retries, f.failures = len(f.retries), nil, failures{}
}
