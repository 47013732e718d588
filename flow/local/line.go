package local

import (
	"facteur/flow/machine"
)

// A line is the calls of one run that wait for one bucket. Only the first has a place
// reserved, so that runs that share a bucket take turns, that a run which is cancelled
// leaves no reservations behind, and that a bucket which is slowed down slows all of them.
type line struct {
	r    *runner
	key  string
	held []held
}

// A held call has passed its limits from the last, which is the narrowest, down to one.
type held struct {
	call machine.Call
	at   int // in its limits
}

// pass leads a call through its limits from one on, and tells whether it is through.
func (r *runner) pass(h held) bool {
	for ; h.at >= 0; h.at-- {
		limit := h.call.Limits[h.at]
		if l := r.lines[limit.Key]; l != nil {
			l.held = append(l.held, h)
			return false
		}
		if wait := r.h.limits.reserve(limit, r.now()); wait > 0 {
			if r.lines == nil {
				r.lines = map[string]*line{}
			}
			l := &line{r, limit.Key, []held{h}}
			r.lines[limit.Key] = l
			r.agenda.add(r.now().Add(wait), l)
			return false
		}
	}
	return true
}

// wanted tells whether somebody in the line still is.
func (l *line) wanted() bool {
	for len(l.held) > 0 && !l.r.m.Wants(l.held[0].call) {
		l.held[0] = held{}
		l.held = l.held[1:]
	}
	if len(l.held) == 0 {
		delete(l.r.lines, l.key)
	}
	return len(l.held) > 0
}

// do lets the first of the line on, whose place has become free, and those after it
// whose places have.
func (l *line) do() error {
	var through []machine.Call
	for l.wanted() {
		first := l.held[0]
		l.held[0] = held{}
		l.held = l.held[1:]
		limit := first.call.Limits[first.at]
		first.at--
		if l.r.pass(first) {
			through = append(through, first.call)
		}
		if !l.wanted() {
			break
		}
		if wait := l.r.h.limits.reserve(limit, l.r.now()); wait > 0 {
			l.r.agenda.add(l.r.now().Add(wait), l)
			break
		}
	}
	return l.r.start(through...)
}
