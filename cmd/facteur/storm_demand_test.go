package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/server"
)

// stormPaused is the flow that operators of the storm pause.
const stormPaused = "storm_loop"

// A demand is what a person asked of the daemon.
type demand struct {
	what        string // cancel or retry
	run         string
	asked, done time.Time // when the answer was there, or not waited for any longer
}

// A stillness is a time in which stormPaused takes nothing up: from when that was promised
// until somebody asks for the end of it.
type stillness struct{ from, until time.Time }

// demands makes a demand. One to cancel counts once it is confirmed, one to retry in any case.
func (s *storm) demands(what, run string, do func() error) error {
	d := demand{what: what, run: run, asked: time.Now()}
	err := do()
	d.done = time.Now()
	if err == nil || what == "retry" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.demanded = append(s.demanded, d)
	}
	return err
}

// pause holds a flow back for a while; one operator at a time, as another would resume it.
func (s *storm) pause(ctx context.Context) error {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	err := s.client.Pause(ctx, server.PauseRequest{Scope: host.Flow, Name: stormPaused, Reason: "storm"})
	still := stillness{from: time.Now()}
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	still.until = time.Now()
	_ = s.insist(func(ctx context.Context) error {
		return s.client.Resume(ctx, server.ResumeRequest{Scope: host.Flow, Name: stormPaused})
	})
	if err == nil {
		s.still = append(s.still, still)
	}
	return err
}

// checkObeyed finds calls that were taken up after somebody was told that they would not be.
func (s *storm) checkObeyed(d *server.Detail, flaw func(format string, args ...any)) {
	for _, one := range s.demanded {
		if one.what != "cancel" || one.run != d.RunID {
			continue
		}
		until := time.Now()
		for _, other := range s.demanded {
			if other.what == "retry" && other.run == d.RunID && other.done.After(one.asked) && other.asked.Before(until) {
				until = other.asked
			}
		}
		for _, c := range d.Calls {
			if c.TakenAt.After(one.done) && c.TakenAt.Before(until) && !strings.HasSuffix(c.Step, "last") { // a finally still runs
				flaw("%s was taken up, though the run was cancelled", c.Key)
			}
		}
	}
	if d.Flow != stormPaused {
		return
	}
	for _, still := range s.still {
		for _, c := range d.Calls {
			if c.TakenAt.After(still.from) && c.TakenAt.Before(still.until) {
				flaw("%s was taken up, though the flow was paused", c.Key)
			}
		}
	}
}
