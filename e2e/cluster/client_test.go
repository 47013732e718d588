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

// A client starts runs on the daemons of a cluster, round-robin, and records which starts were
// acknowledged.
type client struct {
	t *testing.T
	*cluster.Cluster

	next    atomic.Int64
	mu      sync.Mutex
	started map[string]string // run ids of acknowledged starts, by idempotency key
	resent  map[string]bool   // runs that an operator told to resend, which may send twice
}

func newClient(t *testing.T, c *cluster.Cluster) *client {
	return &client{t: t, Cluster: c, started: map[string]string{}, resent: map[string]bool{}}
}

// retry calls one daemon after another until one succeeds or refuses the request itself.
func (l *client) retry(ask func(ctx context.Context, d *server.Client) error) error {
	for end := time.Now().Add(3 * time.Minute); ; {
		d := l.Daemons[int(l.next.Add(1))%len(l.Daemons)]
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

// start starts a run, and records that it was acknowledged.
func (l *client) start(flow, key string, inputs map[string]any) (run string, ok bool) {
	var began *server.Started
	err := l.retry(func(ctx context.Context, d *server.Client) (err error) {
		began, err = d.Start(ctx, flow, server.StartRequest{Inputs: inputs}, server.StartOption{Key: key})
		return err
	})
	if !assert.NoError(l.t, err) {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, known := l.started[key]; known && before != began.RunID {
		l.t.Errorf("the key %s began %s and %s", key, before, began.RunID)
	}
	l.started[key] = began.RunID
	return began.RunID, true
}

// startAll starts so many runs of a flow, 40 at a time. inputs returns those of the nth.
func (l *client) startAll(flow string, runs int, inputs func(n int) map[string]any) {
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

// inputsOf returns inputs with another recipient for each n, and one of twenty senders.
func inputsOf(n int) map[string]any {
	return map[string]any{"phone": fmt.Sprintf("+3363998%04d", n), "sender": fmt.Sprintf("1065403522429%02d", n%20)}
}

func ended(status string) bool {
	switch status {
	case "succeeded", "failed", "cancelled", "rejected":
		return true
	}
	return false
}

// waitDetails waits until all acknowledged runs have ended and all webhooks were delivered, and
// returns the runs' details.
func (l *client) waitDetails(patience time.Duration) map[string]*server.Detail {
	out := map[string]*server.Detail{}
	deadline := time.Now().Add(patience)
	l.waitEnded(patience)
	l.waitWebhooks(deadline)
	for _, run := range l.started {
		if d := l.detail(run); d != nil {
			out[run] = d
		}
	}
	return out
}

// waitEnded waits until all runs have ended, and returns how many have unknown outcomes.
func (l *client) waitEnded(patience time.Duration) (unknown int) {
	deadline := time.Now().Add(patience)
	for _, run := range l.started {
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

// waitWebhooks waits until all webhooks were delivered.
func (l *client) waitWebhooks(deadline time.Time) {
	_ = l.API.Idle(context.Background())
	for quiet := 0; quiet < 20; quiet++ {
		if l.Webhooks.Waiting() > 0 {
			quiet = 0
		}
		if time.Now().After(deadline) {
			l.t.Errorf("%d webhooks wait", l.Webhooks.Waiting())
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// detail returns the details of a run, nil if there is no such run.
func (l *client) detail(run string) (d *server.Detail) {
	err := l.retry(func(ctx context.Context, c *server.Client) (err error) {
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

// A tally counts the outcomes of all runs.
type tally struct {
	acknowledged   int // starts
	accepted       int // sends that the API accepted
	sent           int // sends that succeeded according to the runs
	refused        int // sends that failed according to the runs
	unknownAtFirst int // sends whose outcome was unknown at first
	unknown        int // … and still is
	lost           int // missing runs, and sends whose recorded outcome is wrong
	duplicated     int
}

func (c tally) String() string {
	return fmt.Sprintf("acknowledged %d, accepted by the API %d, sent by the record %d, refused %d, in doubt %d, still unknown %d, lost %d, duplicated %d",
		c.acknowledged, c.accepted, c.sent, c.refused, c.unknownAtFirst, c.unknown, c.lost, c.duplicated)
}

// count compares the runs with what the API accepted. Any contradiction fails the test.
func (l *client) count(runs map[string]*server.Detail) (c tally) {
	t := l.t
	l.mu.Lock()
	defer l.mu.Unlock()
	c.acknowledged = len(l.started)
	accepted := l.API.Keys("f1.")
	told := map[string]bool{} // keys for which the API sent a status
	for _, m := range l.API.Messages(simulator.Filter{Limit: 1 << 30}) {
		key, _, _ := strings.Cut(m.Key, "|")
		told[key] = told[key] || m.State == "sent" || m.State == "delivered" || m.State == "read"
	}
	used := map[string]bool{}
	for key, run := range l.started {
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

func (l *client) countRun(c *tally, d *server.Detail, accepted map[string]int, told, used map[string]bool) {
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
			c.unknownAtFirst++
			switch {
			case accepted[one.Key] > 0 && state == "" && told[one.Key] && !l.resent[d.RunID]:
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
		if n > 1 && !l.resent[d.RunID] {
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
