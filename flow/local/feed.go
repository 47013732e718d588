package local

import (
	"context"
	"fmt"
	"time"

	"facteur/flow/host"
)

// A feedState is a Feed and how far it is delivered. It outlives a simulated crash.
type feedState struct {
	Feed
	armed, fired bool
	due          time.Time
}

// arm schedules the feeds of a run that starts or resumes.
func (r *runner) arm() {
	for i := range r.h.feed {
		f := &r.h.feed[i]
		if f.After == "" && !f.armed {
			f.armed, f.due = true, r.started.Add(f.At)
		}
		if f.armed && !f.fired {
			r.scheduleFeed(i)
		}
	}
}

// armAfter schedules the feeds that come after a call of a step.
func (r *runner) armAfter(path string) {
	for i := range r.h.feed {
		f := &r.h.feed[i]
		if f.After != "" && host.MatchesStep(f.After, path) && !f.armed {
			f.armed, f.due = true, r.now().Add(f.In)
			r.scheduleFeed(i)
		}
	}
}

func (r *runner) scheduleFeed(i int) {
	f := &r.h.feed[i]
	r.jobs.add(f.due, func() bool { return !f.fired }, func() error { return r.fireFeed(i) })
}

// fireFeed delivers a Feed.
func (r *runner) fireFeed(i int) error {
	f := &r.h.feed[i]
	f.fired = true
	if f.Event != nil {
		e := *f.Event
		e.At = r.now()
		if e.ID == "" {
			e.ID = fmt.Sprintf("event-%s-%d", r.run.id, i) // unique among the runs of the journal
		}
		return r.h.Deliver(context.Background(), e)
	}
	receipt := *f.Receipt
	for _, step := range r.m.Steps() {
		if n := len(step.Keys); n > 0 && host.MatchesStep(f.Step, step.Path) {
			receipt.Key = step.Keys[n-1]
		}
	}
	if receipt.ID == "" {
		receipt.ID = fmt.Sprintf("receipt-%d", i)
	}
	r.h.receive(receipt)
	return nil
}
