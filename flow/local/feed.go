package local

import (
	"fmt"
	"time"
)

// feedState is what became of a Feed; it outlives a crash of the run.
type feedState struct {
	Feed
	armed, fired bool
	due          time.Time
}

// arm puts what comes by itself on the agenda of a run that starts or goes on.
func (r *runner) arm() {
	for i := range r.h.feed {
		f := &r.h.feed[i]
		if f.After == "" && !f.armed {
			f.armed, f.due = true, r.started.Add(f.At)
		}
		if f.armed && !f.fired {
			r.schedule(i)
		}
	}
}

// fedBy arms what comes after a call of a step.
func (r *runner) fedBy(path string) {
	for i := range r.h.feed {
		f := &r.h.feed[i]
		if f.After != "" && names(f.After, path) && !f.armed {
			f.armed, f.due = true, r.now().Add(f.In)
			r.schedule(i)
		}
	}
}

func (r *runner) schedule(i int) {
	f := &r.h.feed[i]
	r.agenda.add(f.due, func() bool { return !f.fired }, func() error {
		f.fired = true
		if f.Event != nil {
			e := *f.Event
			e.At = r.now()
			if e.ID == "" {
				e.ID = fmt.Sprintf("event-%d", i)
			}
			r.h.Deliver(e)
			return nil
		}
		receipt := *f.Receipt
		for _, step := range r.m.Steps() {
			if n := len(step.Keys); n > 0 && names(f.Step, step.Path) {
				receipt.Key = step.Keys[n-1]
			}
		}
		if receipt.ID == "" {
			receipt.ID = fmt.Sprintf("receipt-%d", i)
		}
		r.h.Receive(receipt)
		return nil
	})
}
