package machine

// A stopKind is why a group of steps was stopped.
type stopKind uint8

const (
	notStopped    stopKind = iota
	siblingFailed          // a parallel branch or iteration failed: start nothing new, end waits
	cancelling             // the run is cancelled: also handle no failure
	timedOut               // the flow timed out: also cancel calls that are under way
)

// A group is a cancellation scope: steps that are stopped together. Stopping a group stops
// the groups inside it.
type group struct {
	stopped     stopKind
	first, last *stopHook
	hook        stopHook // in the parent group
}

// A stopper is stopped with its group, and again each time the group is stopped with a
// larger stopKind.
type stopper interface{ stop(kind stopKind) }

// A stopHook registers a stopper with a group. Hooks form a linked list, so that the end of
// a step costs the same in a group of one and of a hundred thousand.
type stopHook struct {
	stopper    stopper
	group      *group // nil: not registered
	prev, next *stopHook
}

// child returns a new group inside this one, until it leaves.
func (g *group) child() *group {
	c := &group{}
	c.join(g)
	return c
}

// join puts a group inside another, with the parent's state.
func (g *group) join(parent *group) {
	g.stopped = parent.stopped
	parent.add(g, &g.hook)
}

func (g *group) leave() { g.hook.drop() }

// add registers a stopper with the group, until its hook is dropped.
func (g *group) add(s stopper, h *stopHook) {
	*h = stopHook{stopper: s, group: g, prev: g.last}
	if g.last == nil {
		g.first = h
	} else {
		g.last.next = h
	}
	g.last = h
}

func (h *stopHook) drop() {
	g := h.group
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
	*h = stopHook{}
}

func (g *group) stop(kind stopKind) {
	if kind <= g.stopped {
		return
	}
	g.stopped = kind
	var all []*stopHook // a copy: a stopper may drop its own hook, and others
	for h := g.first; h != nil; h = h.next {
		all = append(all, h)
	}
	for _, h := range all {
		if h.group != nil {
			h.stopper.stop(kind)
		}
	}
}
