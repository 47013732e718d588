package machine

import (
	"fmt"

	"facteur/flow/call"
	"facteur/flow/plan"
)

// foreach runs its steps for each item, some at the same time.
func (m *Machine) foreach(s *plan.Step, do *plan.Foreach, e *env, done func(result, map[string]any)) {
	x, f := m.eval(do.Items, e, s.Place)
	if f != nil {
		done(f.result(), map[string]any{"items": []any{}})
		return
	}
	items, ok := x.([]any)
	if !ok && x != nil {
		f := &failure{step: e.path + s.Place, err: &call.Error{Code: "invalid_input", Class: "flow", Message: fmt.Sprintf("foreach needs a list, got %T", x)}}
		done(f.result(), map[string]any{"items": []any{}})
		return
	}
	l := &loop{
		m: m, step: s, do: do, env: e, items: items, done: done,
		group: e.group.child(), collected: make([]any, len(items)), failures: make([]*failure, len(items)),
	}
	l.launch()
}

type loop struct {
	m         *Machine
	step      *plan.Step
	do        *plan.Foreach
	env       *env
	group     *group
	items     []any
	next      int // the first item that has not started
	running   int
	collected []any
	failures  []*failure
	failed    bool
	left      *result // a return, or a stop from outside
	done      func(result, map[string]any)
}

func (l *loop) launch() {
	for l.running < l.do.Concurrency && l.next < len(l.items) && l.left == nil && l.group.stopped == going {
		i := l.next
		l.next++
		l.running++
		inner := l.env.in(l.group).copyVars().copySteps().bind(l.do.As, l.items[i])
		inner.path = fmt.Sprintf("%s%s[%d].", l.env.path, l.step.Place, i)
		l.m.later(func() {
			l.m.block(l.do.Steps, inner, func(r result) { l.ended(i, inner, r) })
		})
	}
	if l.running == 0 {
		l.finish()
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
		l.failures[i] = r.failure
		l.failed = true
		if !l.step.AllowFailure {
			l.group.stop(sibling)
		}
	case returned:
		l.left = &r
	case stopped:
		if l.env.group.stopped != going {
			l.left = &r
		}
	}
	l.m.later(l.launch)
}

func (l *loop) finish() {
	if l.done == nil {
		return
	}
	done := l.done
	l.done = nil
	l.env.group.leave(l.group)
	outputs := map[string]any{"items": l.collected}
	switch {
	case l.env.group.stopped != going:
		done(result{end: stopped}, outputs)
	case l.left != nil && l.left.end == returned:
		done(*l.left, outputs)
	case l.failed:
		done(first(l.failures).result(), outputs)
	default:
		done(result{}, outputs)
	}
}

func first(failures []*failure) *failure {
	for _, f := range failures {
		if f != nil {
			return f
		}
	}
	return nil
}

// parallel runs its branches at the same time.
func (m *Machine) parallel(s *plan.Step, do *plan.Parallel, e *env, done func(result, map[string]any)) {
	if len(do.Branches) == 0 {
		done(result{}, nil)
		return
	}
	g := e.group.child()
	failures := make([]*failure, len(do.Branches))
	running := len(do.Branches)
	for i, b := range do.Branches {
		inner := e.in(g).copyVars()
		m.later(func() {
			m.block(b.Steps, inner, func(r result) {
				running--
				if r.end == failed {
					failures[i] = r.failure
					g.stop(sibling)
				}
				if running > 0 {
					return
				}
				e.group.leave(g)
				switch f := first(failures); {
				case e.group.stopped != going:
					done(result{end: stopped}, nil)
				case f != nil:
					done(f.result(), nil)
				default:
					done(result{}, nil)
				}
			})
		})
	}
}
