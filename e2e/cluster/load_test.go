package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e/cluster"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A load is what customers ask of a cluster, by turns of each daemon, and what they were
// told.
type load struct {
	t *testing.T
	*cluster.Cluster

	turn  atomic.Int64
	mu    sync.Mutex
	acked map[string]string // run ids by idempotency key
	wild  map[string]bool   // runs that somebody asked to send again
}

func newLoad(t *testing.T, c *cluster.Cluster) *load {
	return &load{t: t, Cluster: c, acked: map[string]string{}, wild: map[string]bool{}}
}

// insist asks one daemon after another until one answers with other than that it cannot.
func (l *load) insist(ask func(ctx context.Context, d *server.Client) error) error {
	for end := time.Now().Add(3 * time.Minute); ; {
		d := l.Daemons[int(l.turn.Add(1))%len(l.Daemons)]
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := ask(ctx, d.Client())
		cancel()
		var problem *server.Problem
		if err == nil || time.Now().After(end) || errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// start begins a run, and notes that it was acknowledged.
func (l *load) start(flow, key string, inputs map[string]any) (run string, ok bool) {
	var began *server.Started
	err := l.insist(func(ctx context.Context, d *server.Client) (err error) {
		began, err = d.Start(ctx, flow, server.StartRequest{Inputs: inputs}, server.StartOption{Key: key})
		return err
	})
	if !assert.NoError(l.t, err) {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, known := l.acked[key]; known && before != began.RunID {
		l.t.Errorf("the key %s began %s and %s", key, before, began.RunID)
	}
	l.acked[key] = began.RunID
	return began.RunID, true
}

// startAll begins so many runs of a flow, many at a time. inputs are for the nth.
func (l *load) startAll(flow string, runs int, inputs func(n int) map[string]any) {
	var all sync.WaitGroup
	next := atomic.Int64{}
	for range 40 {
		all.Go(func() {
			for n := int(next.Add(1)); n <= runs; n = int(next.Add(1)) {
				if _, ok := l.start(flow, fmt.Sprint(flow, " ", n), inputs(n)); !ok {
					return
				}
			}
		})
	}
	all.Wait()
}

// toMany are the inputs of runs that each write to somebody else, from some numbers.
func toMany(n int) map[string]any {
	return map[string]any{"phone": fmt.Sprintf("+3363998%04d", n), "sender": fmt.Sprintf("1065403522429%02d", n%20)}
}

func ended(status string) bool {
	switch status {
	case "succeeded", "failed", "cancelled", "rejected":
		return true
	}
	return false
}

// details waits until all runs that were acknowledged have ended and nothing is on its way
// to the daemons, and returns them.
func (l *load) details(patience time.Duration) map[string]*server.Detail {
	out := map[string]*server.Detail{}
	deadline := time.Now().Add(patience)
	l.rest(patience)
	l.settled(deadline)
	for _, run := range l.acked {
		if d := l.detail(run); d != nil {
			out[run] = d
		}
	}
	return out
}

// rest waits until all runs have ended, and returns how many of them have unknown outcomes.
func (l *load) rest(patience time.Duration) (unknown int) {
	deadline := time.Now().Add(patience)
	for _, run := range l.acked {
		for {
			d := l.detail(run)
			if d != nil && ended(string(d.Status)) {
				if d.Unknown > 0 {
					unknown++
				}
				break
			}
			if time.Now().After(deadline) {
				l.t.Errorf("the run %s has not ended: %+v", run, d)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return unknown
}

// settled waits until all webhooks have come.
func (l *load) settled(deadline time.Time) {
	_ = l.API.Idle(context.Background())
	for quiet := 0; quiet < 20; quiet++ {
		if l.Hooks.Waiting() > 0 {
			quiet = 0
		}
		if time.Now().After(deadline) {
			l.t.Errorf("%d webhooks wait", l.Hooks.Waiting())
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// detail is all that is known of a run; nil: there is none.
func (l *load) detail(run string) (d *server.Detail) {
	err := l.insist(func(ctx context.Context, c *server.Client) (err error) {
		d, err = c.Run(ctx, run, 0)
		return err
	})
	var problem *server.Problem
	if errors.As(err, &problem) && problem.Kind() == server.NotFound {
		return nil
	}
	require.NoError(l.t, err)
	return d
}

// counts are what became of what was asked.
type counts struct {
	acknowledged int // starts
	accepted     int // sends, by the API
	sent         int // sends, by the daemons
	refused      int // sends that surely were not accepted
	doubts       int // sends of which a daemon did not know at first
	unknown      int // … and of which nobody knows
	lost         int // runs that are not there, and sends that are said to be sent and were not
	duplicated   int
}

func (c counts) String() string {
	return fmt.Sprintf("acknowledged %d, accepted by the API %d, sent by the record %d, refused %d, in doubt %d, still unknown %d, lost %d, duplicated %d",
		c.acknowledged, c.accepted, c.sent, c.refused, c.doubts, c.unknown, c.lost, c.duplicated)
}

// count compares what the runs say with what the API accepted. Whatever does not fit fails
// the test.
func (l *load) count(runs map[string]*server.Detail) (c counts) {
	t := l.t
	l.mu.Lock()
	defer l.mu.Unlock()
	c.acknowledged = len(l.acked)
	accepted := l.API.Keys("f1.")
	told := map[string]bool{} // keys of which statuses were told
	for _, m := range l.API.Messages(simulator.Filter{Limit: 1 << 30}) {
		key, _, _ := strings.Cut(m.Key, "|")
		told[key] = told[key] || m.State == "sent" || m.State == "delivered" || m.State == "read"
	}
	used := map[string]bool{}
	for key, run := range l.acked {
		d := runs[run]
		if d == nil {
			c.lost++
			t.Errorf("the run %s of %s was acknowledged, and is not there", run, key)
			continue
		}
		l.countRun(&c, d, accepted, told, used)
	}
	for key, n := range accepted {
		c.accepted += n
		if n > 1 {
			c.duplicated++
			t.Errorf("the key %s was accepted %d times", key, n)
		}
		if !used[key] {
			t.Errorf("the key %s was accepted, and no run knows of it", key)
		}
	}
	return c
}

func (l *load) countRun(c *counts, d *server.Detail, accepted map[string]int, told, used map[string]bool) {
	bySteps := map[string]int{}
	faulty := false
	flaw := func(format string, args ...any) {
		faulty = true
		l.t.Errorf(d.Flow+" "+d.RunID+": "+format, args...)
	}
	for _, one := range d.Calls {
		used[one.Key] = true
		if one.TakenAt.IsZero() {
			if accepted[one.Key] > 0 {
				flaw("%s was accepted, and is not recorded as taken up", one.Key)
			}
			continue
		}
		state := ""
		for _, r := range one.Receipts {
			state = r.State
		}
		if state != "failed" {
			bySteps[one.Step] += accepted[one.Key]
		}
		if one.Outcome == nil {
			flaw("%s has no outcome", one.Key)
			continue
		}
		switch repeats := one.Outcome.Output["repeats"]; string(one.Outcome.Status) {
		case "succeeded", "pending":
			c.sent++
			if accepted[one.Key] == 0 && (repeats == nil || repeats == "") {
				c.lost++
				flaw("%s is said to be sent, and was not", one.Key)
			}
		case "failed":
			c.refused++
			if accepted[one.Key] > 0 {
				c.lost++
				flaw("%s is said to have failed, and was sent", one.Key)
			}
		case "unknown":
			c.doubts++
			switch {
			case accepted[one.Key] > 0 && state == "" && told[one.Key] && !l.wild[d.RunID]:
				flaw("%s is unknown, though webhooks told of it", one.Key)
			case state == "":
				c.unknown++
			}
		case "cancelled":
			if accepted[one.Key] > 0 {
				flaw("%s is said to be cancelled, and was sent", one.Key)
			}
		}
	}
	for step, n := range bySteps {
		if n > 1 && !l.wild[d.RunID] {
			c.duplicated++
			flaw("the step %s was sent %d times", step, n)
		}
	}
	if !faulty {
		return
	}
	for _, e := range d.Journal {
		l.t.Logf("%s  %s %s %s", d.RunID, e.At.Format(time.StampMicro), e.Kind, e.Data)
	}
}
