package hosttest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
)

const manySteps = `
flow: steps
steps:
  - {id: get, action: test.get, with: {to: a}}
  - {id: send, action: test.send, with: {to: b}, await: {state: delivered, timeout: 24h}, unknown_timeout: 24h}
  - {id: reply, wait_for: {event: test.reply, from: b, timeout: 24h}}
  - id: each
    foreach: "${['c', 'd', 'e']}"
    as: to
    concurrency: 2
    steps:
      - {id: more, action: test.send, with: {to: "${to}"}, unknown_timeout: 24h}
      - {id: pause, wait: 1ms}
  - {id: last, action: test.get, with: {to: f}}
`

var crashes = []test{
	{"taken up, not sent", func(s *fixture) { s.crashAtEveryCall("taken") }},
	{"sent, not answered", func(s *fixture) { s.crashAtEveryCall("accepted") }},
	{"answered", func(s *fixture) { s.crashAtEveryCall("answered") }},
	{"prepared, not begun", func(s *fixture) {
		run := s.crashAt("prepared", 3)
		r := s.waitEnd(run, machine.Succeeded)
		assert.Equal(s, 1, r.Steps[0].Attempts, "what did not begin is no attempt")
		assert.Len(s, s.world.Messages("a"), 1)
		assert.Zero(s, s.report(run).Run.Unknown)
	}},
	{"prepared, and begun", func(s *fixture) {
		run := s.crashAt("taken", 1)
		r := s.waitEnd(run, machine.Failed)
		assert.Equal(s, "outcome_unknown", r.Error.Code, "it may have happened")
		assert.Equal(s, 1, r.Steps[0].Attempts)
		assert.Len(s, s.world.Messages("a"), 1)
	}},
	{"while many run", func(s *fixture) {
		// Every tenth point of a call crashes the host.
		var mu sync.Mutex
		calls, over := 0, false
		s.world.SetOnDo(func(point string, c call.Call) {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls%10 == 0 && !over {
				s.backend.Crash()
			}
		})
		p := s.world.Compile(s, send)
		var runs []string
		for n := 0; len(runs) < 60; n++ {
			run, _, err := s.Start(s.Context(), p, startInput(map[string]any{"to": "a", "text": fmt.Sprint(n)}, fmt.Sprint(n)))
			if err == nil {
				runs = append(runs, run.ID)
				continue
			}
			n--
			s.reopen(true)
		}
		mu.Lock()
		over = true
		mu.Unlock()
		s.reopen(true)
		unknown := 0
		for _, run := range runs {
			s.eventually("it waits or has ended", func() bool {
				now := s.report(run).Run
				return now.Status == host.Waiting || !now.Ended.IsZero()
			})
			for _, step := range s.report(run).Result.Steps {
				if step.Unknown {
					unknown++
				}
			}
		}
		s.assertNoDuplicates()
		texts := map[string]int{}
		for _, m := range s.world.Messages("a") {
			texts[m.Text]++
		}
		for text, n := range texts {
			assert.Equal(s, 1, n, "message %s", text)
		}
		assert.GreaterOrEqual(s, len(texts)+unknown, 60, "a message is accepted, or unknown")
	}},
}

const prepared = `
flow: prepared
steps:
  - {id: send, action: test.prepared, with: {to: a}, unknown_timeout: 1s}
`

// crashAt starts a run of one call, crashes the host so many times at a point of that call, and
// returns when the run has ended.
func (s *fixture) crashAt(point string, times int) (run string) {
	var left atomic.Int32
	left.Store(int32(times))
	died := make(chan bool, times)
	s.world.SetOnDo(func(at string, c call.Call) {
		if at == point && left.Add(-1) >= 0 {
			s.backend.Crash()
			died <- true
		}
	})
	p := s.world.Compile(s, prepared)
	s.eventually("the run ends", func() bool {
		select {
		case <-died:
			s.reopen(true)
		default:
		}
		if run == "" {
			if began, _, err := s.Start(s.Context(), p, startInput(map[string]any{}, "k")); err == nil {
				run = began.ID
			}
			return false
		}
		report, err := s.Get(s.Context(), run)
		return err == nil && !report.Run.Ended.IsZero()
	})
	return run
}

// crashAtEveryCall crashes the host once at a point of each call of a run.
func (s *fixture) crashAtEveryCall(point string) {
	seen := map[string]bool{}
	var mu sync.Mutex
	died := make(chan bool, 100)
	s.world.SetOnDo(func(at string, c call.Call) {
		mu.Lock()
		dies := at == point && !seen[c.Key]
		seen[c.Key] = seen[c.Key] || dies
		mu.Unlock()
		if dies {
			s.backend.Crash()
			died <- true
		}
	})
	p := s.world.Compile(s, manySteps)
	run, _, err := s.Start(s.Context(), p, startInput(map[string]any{}, "k"))
	for err != nil { // the crash came before Start returned
		s.reopen(true)
		run, _, err = s.Start(s.Context(), p, startInput(map[string]any{}, "k"))
	}
	replied := false
	s.eventually("the run ends, or waits for news", func() bool {
		select {
		case <-died:
			s.reopen(true)
			return false
		default:
		}
		report, err := s.Get(s.Context(), run.ID)
		if err != nil {
			return false // the host has just crashed
		}
		if !report.Run.Ended.IsZero() {
			return true
		}
		for _, step := range report.Result.Steps {
			if step.Status != machine.Running {
				continue
			}
			switch {
			case step.ID == "reply" && !replied:
				replied = s.Deliver(s.Context(), replyEvent("1", "go on", "b")) == nil
			case len(step.Keys) > 0:
				// There are receipts only of messages that were accepted.
				if key := step.Keys[len(step.Keys)-1]; s.world.accepted(key) {
					_ = s.Receive(s.Context(), s.world.Receipt(key, "delivered"))
				}
				if point == "taken" && step.Unknown {
					_ = s.Settle(s.Context(), run.ID, step.Path, host.Settlement{Happened: true})
				}
			}
		}
		return false
	})
	s.world.SetOnDo(nil)
	s.reopen(true)
	s.waitEnd(run.ID, machine.Succeeded)
	s.assertNoDuplicates()
	counts := s.world.CallCounts()
	for _, c := range s.report(run.ID).Calls {
		assert.True(s, counts[c.Key] <= 1 || c.Action == "test.get", "%s was made %d times", c.Key, counts[c.Key])
	}
}
