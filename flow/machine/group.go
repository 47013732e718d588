package machine

// why a group of steps was stopped.
type stopKind uint8

const (
	going      stopKind = iota
	sibling             // one beside it failed: start nothing new, let calls finish
	cancelling          // end as soon as can be: calls are cancelled and awaited
)

// A group is steps that stop together. Stopping a group stops those inside it.
type group struct {
	stopped  stopKind
	children []*group
	hooks    []*hook
}

type hook struct {
	f    func(stopKind)
	gone bool
}

func (g *group) child() *group {
	c := &group{stopped: g.stopped}
	g.children = append(g.children, c)
	return c
}

// onStop calls f when the group is stopped, unless the returned func is called before.
func (g *group) onStop(f func(stopKind)) (drop func()) {
	h := &hook{f: f}
	if n := len(g.hooks); n > 0 && g.hooks[n-1].gone {
		g.hooks = g.hooks[:n-1]
	}
	g.hooks = append(g.hooks, h)
	return func() { h.gone = true }
}

func (g *group) stop(kind stopKind) {
	if kind <= g.stopped {
		return
	}
	g.stopped = kind
	for _, h := range g.hooks {
		if !h.gone {
			h.f(kind)
		}
	}
	for _, c := range g.children {
		c.stop(kind)
	}
}

// leave forgets a child that has ended.
func (g *group) leave(c *group) {
	for i, x := range g.children {
		if x == c {
			g.children = append(g.children[:i], g.children[i+1:]...)
			return
		}
	}
}
