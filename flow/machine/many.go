package machine

import (
	"cmp"
	"slices"
	"strconv"

	"facteur/flow/plan"
	"facteur/flow/schema"
)

// foreach runs its steps for each item, some at the same time.
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
	m.sameItems(e, report, items)
	l := &loop{
		m: m, step: s, do: do, env: e, report: report, group: e.group.child(),
		items: items, collected: make([]any, len(items)), done: done,
	}
	l.run()
}

type loop struct {
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
	left      lanes // what a retry goes on with
	returned  *result
	done      func(result, map[string]any)
	over      bool
}

// run starts as many iterations as may run.
func (l *loop) run() {
	for l.running < l.do.Concurrency && l.next < len(l.items) && l.returned == nil && l.group.stopped == going {
		i := l.next
		l.next++
		l.running++
		inner := l.env.iteration(l.group, l.do.As, l.items[i])
		inner.path = l.report.Path + "[" + strconv.Itoa(i) + "]."
		inner.inside = l.step.Place + "."
		l.m.later(l.m.list(l.do.Steps, inner, func(r result) { l.ended(i, inner, r) }))
	}
	if l.running == 0 && !l.over {
		l.over = true
		l.finish()
	}
}

func (l *loop) ended(i int, inner *env, r result) {
	l.running--
	if r.end == completed && l.do.Collect != nil {
		x, f := l.m.eval(l.do.Collect, inner, "collect")
		if f != nil {
			r = f.result().at(func() { l.ended(i, inner, result{}) })
		}
		l.collected[i] = x
	}
	switch r.end {
	case failed:
		l.failures.add(i, r.failure)
		if !l.step.AllowFailure {
			l.left.add(i, r.again)
			l.group.stop(sibling)
		}
	case stopped:
		l.left.add(i, r.again)
	case returned:
		l.returned = &r
	}
	l.m.later(l)
}

func (l *loop) finish() {
	l.group.leave()
	r := l.failures.result(l.env.group)
	if l.returned != nil {
		r = *l.returned
	}
	if r.end == failed || r.end == stopped {
		r.again = &again{open: l.reopen, inner: l.left.all(), do: l.run}
	}
	l.done(r, map[string]any{"items": l.collected})
}

// reopen lets the loop go on with the iterations that failed or were stopped, and with
// those that had not started.
func (l *loop) reopen() {
	l.group.join(l.env.group)
	l.running, l.over, l.left = len(l.left), false, nil
	l.collected = slices.Clone(l.collected)
	if !l.step.AllowFailure {
		l.failures = failures{}
	}
}

// failures keeps the first failure by position of steps that run at the same time.
type failures struct {
	at    int
	first *failure
}

func (f *failures) add(at int, one *failure) {
	if f.first == nil || at < f.at {
		f.at, f.first = at, one
	}
}

// result is how the whole ended; g is the group around it.
func (f *failures) result(g *group) result {
	switch {
	case g.stopped >= cancelling, g.stopped != going && f.first == nil:
		return result{end: stopped}
	case f.first != nil:
		return f.first.result()
	}
	return result{}
}

// lanes are those of the steps that run at the same time which failed or were stopped.
type lanes []lane

type lane struct {
	at    int
	again *again
}

func (l *lanes) add(at int, again *again) { *l = append(*l, lane{at, again}) }

// all returns how they go on after a retry, by position.
func (l lanes) all() []*again {
	slices.SortFunc(l, func(a, b lane) int { return cmp.Compare(a.at, b.at) })
	out := make([]*again, len(l))
	for i := range l {
		out[i] = l[i].again
	}
	return out
}

// A fork is a parallel that runs.
type fork struct {
	m        *Machine
	env      *env
	group    *group
	running  int
	failures failures
	left     lanes
	done     func(result, map[string]any)
}

// parallel runs its branches at the same time.
func (m *Machine) parallel(do *plan.Parallel, e *env, done func(result, map[string]any)) {
	if len(do.Branches) == 0 {
		done(result{}, nil)
		return
	}
	f := &fork{m: m, env: e, group: e.group.child(), running: len(do.Branches), done: done}
	for i, b := range do.Branches {
		inner := e.branch(f.group)
		m.later(m.list(b.Steps, inner, func(r result) { f.ended(i, r) }))
	}
}

func (f *fork) ended(i int, r result) {
	switch r.end {
	case failed:
		f.failures.add(i, r.failure)
		f.left.add(i, r.again)
		f.group.stop(sibling)
	case stopped:
		f.left.add(i, r.again)
	}
	if f.running--; f.running == 0 {
		f.finish()
	}
}

func (f *fork) finish() {
	f.group.leave()
	r := f.failures.result(f.env.group)
	if r.end != completed {
		r.again = &again{open: f.reopen, inner: f.left.all()}
		if len(f.left) == 0 { // it was stopped as its last branch ended
			r.again.do = f.finish
		}
	}
	f.done(r, nil)
}

func (f *fork) reopen() {
	f.group.join(f.env.group)
	f.running, f.left, f.failures = len(f.left), nil, failures{}
}
