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

// An operation is a request of an operator to cancel or retry a run.
type operation struct {
	kind        string // cancel or retry
	run         string
	began, done time.Time // done: when it was answered, or timed out
}

// A pauseWindow is a time in which stormPaused must start no calls: from the answer to the pause
// to the request to resume.
type pauseWindow struct{ from, until time.Time }

// operate performs and records an operation. A cancel counts if it was confirmed, a retry always.
func (s *stormTest) operate(what, run string, do func() error) error {
	d := operation{kind: what, run: run, began: time.Now()}
	err := do()
	d.done = time.Now()
	if err == nil || what == "retry" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.operations = append(s.operations, d)
	}
	return err
}

// pause pauses stormPaused for a while; one operator at a time, because another would resume it.
func (s *stormTest) pause(ctx context.Context) error {
	s.pauseMu.Lock()
	defer s.pauseMu.Unlock()
	err := s.client.Pause(ctx, server.PauseRequest{Scope: host.Flow, Name: stormPaused, Reason: "storm"})
	still := pauseWindow{from: time.Now()}
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	still.until = time.Now()
	_ = s.retry(func(ctx context.Context) error {
		return s.client.Resume(ctx, server.ResumeRequest{Scope: host.Flow, Name: stormPaused})
	})
	if err == nil {
		s.pauses = append(s.pauses, still)
	}
	return err
}

// checkOperations finds calls that were taken up after a confirmed cancel or during a pause.
func (s *stormTest) checkOperations(d *server.Detail, flaw func(format string, args ...any)) {
	for _, one := range s.operations {
		if one.kind != "cancel" || one.run != d.RunID {
			continue
		}
		until := time.Now()
		for _, other := range s.operations {
			if other.kind == "retry" && other.run == d.RunID && other.done.After(one.began) && other.began.Before(until) {
				until = other.began
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
	for _, still := range s.pauses {
		for _, c := range d.Calls {
			if c.TakenAt.After(still.from) && c.TakenAt.Before(still.until) {
				flaw("%s was taken up, though the flow was paused", c.Key)
			}
		}
	}
}
