package local

import (
	"context"
	"fmt"
	"time"

	"facteur/flow/host"
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
		if f.After != "" && host.Names(f.After, path) && !f.armed {
			f.armed, f.due = true, r.now().Add(f.In)
			r.schedule(i)
		}
	}
}

func (r *runner) schedule(i int) {
	f := &r.h.feed[i]
	r.agenda.add(f.due, delivery{r, i, f})
}

// A delivery brings a Feed when its time comes.
type delivery struct {
	r    *runner
	i    int
	feed *feedState
}

func (d delivery) wanted() bool { return !d.feed.fired }

func (d delivery) do() error {
	f := d.feed
	f.fired = true
	if f.Event != nil {
		e := *f.Event
		e.At = d.r.now()
		if e.ID == "" {
			e.ID = fmt.Sprintf("event-%s-%d", d.r.id, d.i) // other runs of the journal have theirs
		}
		return d.r.h.Deliver(context.Background(), e)
	}
	receipt := *f.Receipt
	for _, step := range d.r.m.Steps() {
		if n := len(step.Keys); n > 0 && host.Names(f.Step, step.Path) {
			receipt.Key = step.Keys[n-1]
		}
	}
	if receipt.ID == "" {
		receipt.ID = fmt.Sprintf("receipt-%d", d.i)
	}
	d.r.h.receive(receipt)
	return nil
}
