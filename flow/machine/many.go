package machine

import (
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
	l := &loop{
		m: m, step: s, do: do, env: e, report: report, group: e.group.child(),
		items: items, collected: make([]any, len(items)), done: done,
	}
	l.again = l.launch
	l.launch()
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
	returned  *result
	again     func() // launch
	done      func(result, map[string]any)
}

func (l *loop) launch() {
	for l.running < l.do.Concurrency && l.next < len(l.items) && l.returned == nil && l.group.stopped == going {
		i := l.next
		l.next++
		l.running++
		inner := l.env.iteration(l.group, l.do.As, l.items[i])
		inner.path = l.report.Path + "[" + strconv.Itoa(i) + "]."
		inner.inside = l.step.Place + "."
		l.m.later(func() {
			l.m.block(l.do.Steps, inner, func(r result) { l.ended(i, inner, r) })
		})
	}
	if l.running == 0 && l.done != nil {
		done := l.done
		l.done = nil
		l.finish(done)
	}
}

func (l *loop) ended(i int, inner *env, r result) {
	l.running--
	if r.end == completed && l.do.Collect != nil {
		x, f := l.m.eval(l.do.Collect, inner, "collect")
		if f != nil {
			r = f.result()
		}
		l.collected[i] = x
	}
	switch r.end {
	case failed:
		l.failures.add(i, r.failure)
		if !l.step.AllowFailure {
			l.group.stop(sibling)
		}
	case returned:
		l.returned = &r
	}
	l.m.later(l.again)
}

func (l *loop) finish(done func(result, map[string]any)) {
	l.group.leave()
	r := l.failures.result(l.env.group)
	if l.returned != nil {
		r = *l.returned
	}
	done(r, map[string]any{"items": l.collected})
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
	case g.stopped == cancelling, g.stopped != going && f.first == nil:
		return result{end: stopped}
	case f.first != nil:
		return f.first.result()
	}
	return result{}
}

// parallel runs its branches at the same time.
func (m *Machine) parallel(do *plan.Parallel, e *env, done func(result, map[string]any)) {
	running := len(do.Branches)
	if running == 0 {
		done(result{}, nil)
		return
	}
	g := e.group.child()
	var failures failures
	for i, b := range do.Branches {
		inner := e.branch(g)
		m.later(func() {
			m.block(b.Steps, inner, func(r result) {
				if r.end == failed {
					failures.add(i, r.failure)
					g.stop(sibling)
				}
				if running--; running == 0 {
					g.leave()
					done(failures.result(e.group), nil)
				}
			})
		})
	}
}
