package machine

// A stopKind is why a group of steps was stopped.
type stopKind uint8

const (
	going      stopKind = iota
	sibling             // one beside it failed: start nothing new, end what waits
	cancelling          // the run is cancelled: the same, and no failure is handled
	expired             // the time of the flow is over: the same, and calls are to end too
)

// A group is steps that stop together. Stopping a group stops those inside it.
type group struct {
	stopped     stopKind
	first, last *hook
	outer       hook // in the group around this one
}

// A member of a group is stopped with it, and each time that it is stopped harder.
type member interface{ stop(kind stopKind) }

// A hook holds a member in its group. Hooks form a list, so that the end of a step costs
// the same in a group of one and of a hundred thousand.
type hook struct {
	of         member
	in         *group // nil: it is in none
	prev, next *hook
}

// child returns a group inside this one; leave ends it.
func (g *group) child() *group {
	c := &group{}
	c.join(g)
	return c
}

// join puts a group inside another, as if it had not been stopped before.
func (g *group) join(outer *group) {
	g.stopped = outer.stopped
	outer.add(g, &g.outer)
}

func (g *group) leave() { g.outer.drop() }

// add puts a member into the group, until its hook is dropped.
func (g *group) add(m member, h *hook) {
	*h = hook{of: m, in: g, prev: g.last}
	if g.last == nil {
		g.first = h
	} else {
		g.last.next = h
	}
	g.last = h
}

func (h *hook) drop() {
	g := h.in
	if g == nil {
		return
	}
	if h.prev == nil {
		g.first = h.next
	} else {
		h.prev.next = h.next
	}
	if h.next == nil {
		g.last = h.prev
	} else {
		h.next.prev = h.prev
	}
	*h = hook{}
}

func (g *group) stop(kind stopKind) {
	if kind <= g.stopped {
		return
	}
	g.stopped = kind
	var all []*hook // a member may leave, and others with it
	for h := g.first; h != nil; h = h.next {
		all = append(all, h)
	}
	for _, h := range all {
		if h.in != nil {
			h.of.stop(kind)
		}
	}
}
