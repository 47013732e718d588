package main

import (
	"context"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// check waits until all runs have ended, and compares them with what the API accepted.
func (s *stormTest) check() {
	t := s.t
	s.api.ClearFaults()
	s.webhooks.withheld.Store(false)
	final := map[string]bool{"succeeded": true, "failed": true, "cancelled": true, "rejected": true}
	var runs []server.Run
	for deadline := time.Now().Add(time.Minute); ; {
		time.Sleep(300 * time.Millisecond)
		// A refused token holds calls back until the connection is resumed.
		_ = s.client.Resume(context.Background(), server.ResumeRequest{Scope: "connection", Name: "shop"})
		_ = s.api.Idle(context.Background())
		runs = s.list()
		open := 0
		for _, r := range runs {
			if !final[string(r.Status)] {
				open++
			}
		}
		if open == 0 && s.webhooks.waiting.Load() == 0 {
			time.Sleep(2500 * time.Millisecond) // statuses that come late
			if s.webhooks.waiting.Load() == 0 {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("%d runs did not end, %d webhooks wait", open, s.webhooks.waiting.Load())
			for _, r := range runs {
				if !final[string(r.Status)] {
					d, _ := s.client.Run(context.Background(), r.RunID, 0)
					t.Logf("open: %s %s %s waits %v held %v steps %+v", r.RunID, r.Flow, r.Status, d.Waits, d.Held, d.Steps)
				}
			}
			break
		}
	}
	runs = s.list()
	known := map[string]bool{}
	c := s.counts
	accepted := s.api.Keys("f1.")
	told := map[string]bool{} // keys for which the API sent a status
	for _, m := range s.api.Messages(simulator.Filter{Limit: 1 << 30}) {
		key, _, _ := strings.Cut(m.Key, "|")
		if m.State == "sent" || m.State == "delivered" || m.State == "read" {
			told[key] = true
		}
	}
	used := map[string]bool{}
	for _, r := range runs {
		known[r.RunID] = true
		var d *server.Detail
		require.NoError(t, s.retry(func(ctx context.Context) (err error) { d, err = s.client.Run(ctx, r.RunID, 0); return err }))
		s.checkRun(d, accepted, told, used)
	}
	for key, n := range accepted {
		if n > 1 {
			c["duplicated"]++
			t.Errorf("the key %s was accepted %d times", key, n)
		}
		if !used[key] {
			c["sent_without_record"]++
			t.Errorf("the key %s was accepted, and no journal knows of it", key)
		}
	}
	for key, run := range s.started {
		if !known[run] {
			c["lost"]++
			t.Errorf("the run %s of %s was acknowledged, and is not there", run, key)
		}
	}
	t.Logf("acknowledged: %d, runs: %d, accepted: %d, by key: %d, lost: %d, duplicated: %d, webhooks: %d, %v", len(s.started), len(runs), s.api.Counts().Accepted, len(accepted), c["lost"], c["duplicated"], s.webhooks.delivered.Load(), c)
}

func (s *stormTest) list() (runs []server.Run) {
	q := host.Filter{Limit: 1000}
	for {
		var page *server.RunList
		require.NoError(s.t, s.retry(func(ctx context.Context) (err error) { page, err = s.client.Runs(ctx, q); return err }))
		runs = append(runs, page.Runs...)
		if page.Next == "" {
			return runs
		}
		q.Cursor = page.Next
	}
}

// checkRun compares the journal of a run with what the API accepted.
func (s *stormTest) checkRun(d *server.Detail, accepted map[string]int, told, used map[string]bool) {
	t, c := s.t, s.counts
	bySteps := map[string]int{}
	unknown := map[string]bool{}
	for _, step := range d.Steps {
		for _, key := range step.Keys {
			if step.Unknown {
				unknown[key] = true
			}
		}
	}
	faulty := false
	flaw := func(format string, args ...any) {
		faulty = true
		t.Errorf(d.Flow+" "+d.RunID+": "+format, args...)
	}
	for _, one := range d.Calls {
		used[one.Key] = true
		if one.TakenAt.IsZero() {
			if accepted[one.Key] > 0 {
				flaw("%s was accepted, and is not recorded as taken up", one.Key)
			}
			continue
		}
		c["taken"]++
		status, state := "", ""
		if one.Outcome != nil {
			status = string(one.Outcome.Status)
		}
		for _, r := range one.Receipts {
			state = r.State
		}
		if state != "failed" { // which a person may have sent again
			bySteps[one.Step] += accepted[one.Key]
		}
		switch {
		case one.Outcome == nil:
			c["no_outcome"]++
			flaw("%s has no outcome", one.Key)
		case status == "succeeded" || status == "pending":
			c["sent"]++
			repeats := one.Outcome.Output["repeats"]
			if accepted[one.Key] == 0 && (repeats == nil || repeats == "") {
				c["lost"]++
				flaw("%s is said to be sent, and was not", one.Key)
			}
		case status == "failed":
			c["refused"]++
			if accepted[one.Key] > 0 {
				c["hidden"]++
				flaw("%s is said to have failed, and was sent: %+v", one.Key, one.Outcome.Error)
			}
		case status == "unknown":
			c["unknown_outcomes"]++
			if accepted[one.Key] > 0 && state == "" && told[one.Key] && !s.resent[d.RunID] {
				c["unheard"]++
				flaw("%s is unknown, though webhooks told of it", one.Key)
			}
			if state == "" && unknown[one.Key] {
				c["unknown_left"]++
			}
		case status == "cancelled":
			if accepted[one.Key] > 0 {
				flaw("%s is said to be cancelled, and was sent", one.Key)
			}
		}
	}
	if d.Unknown > 0 {
		c["unknown_runs"]++
	}
	for step, n := range bySteps {
		if n < 2 {
			continue
		}
		if d.Flow == "storm_resend" || s.resent[d.RunID] {
			c["resent"]++
			continue
		}
		c["duplicated"]++
		flaw("the step %s was sent %d times", step, n)
	}
	s.checkOperations(d, flaw)
	if faulty {
		for _, e := range d.Journal {
			t.Logf("%s  %s %s %s", d.RunID, e.At.Format(time.StampMicro), e.Kind, e.Data)
		}
	}
}
