package local

import "facteur/flow/machine"

// A line is the calls of one run that wait for one bucket. Only the first has a place
// reserved, so that runs that share a bucket take turns, that a run which is cancelled
// leaves no reservations behind, and that a bucket which is slowed down slows all of them.
type line []held

// A held call has passed its limits from the last, which is the narrowest, down to one.
type held struct {
	call machine.Call
	at   int // in its limits
}

// pass leads a call through its limits from one on, and tells whether it is through.
func (r *runner) pass(h held) bool {
	for ; h.at >= 0; h.at-- {
		limit := h.call.Limits[h.at]
		if _, waiting := r.lines[limit.Key]; waiting {
			r.lines[limit.Key] = append(r.lines[limit.Key], h)
			return false
		}
		if wait := r.h.limits.reserve(limit, r.now()); wait > 0 {
			if r.lines == nil {
				r.lines = map[string]line{}
			}
			r.lines[limit.Key] = line{h}
			r.agenda.add(r.now().Add(wait), r.anybodyIn(limit.Key), r.admit(limit.Key))
			return false
		}
	}
	return true
}

// anybodyIn tells whether somebody in a line is still wanted.
func (r *runner) anybodyIn(key string) func() bool {
	return func() bool {
		l := r.lines[key]
		for len(l) > 0 && !r.m.Wants(l[0].call) {
			l[0] = held{}
			l = l[1:]
		}
		if len(l) == 0 {
			delete(r.lines, key)
			return false
		}
		r.lines[key] = l
		return true
	}
}

// admit lets the first of a line on, whose place has become free, and those after it
// whose places have.
func (r *runner) admit(key string) func() error {
	return func() error {
		var through []machine.Call
		for wanted := r.anybodyIn(key); wanted(); {
			l := r.lines[key]
			first := l[0]
			l[0], r.lines[key] = held{}, l[1:]
			limit := first.call.Limits[first.at]
			first.at--
			if r.pass(first) {
				through = append(through, first.call)
			}
			if !wanted() {
				break
			}
			if wait := r.h.limits.reserve(limit, r.now()); wait > 0 {
				r.agenda.add(r.now().Add(wait), wanted, r.admit(key))
				break
			}
		}
		return r.start(through...)
	}
}
