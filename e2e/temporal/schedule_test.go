package temporal_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/e2e/temporal"
	"facteur/flow"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/plan"
	facteur "facteur/flow/temporal"
	"facteur/flow/trigger"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyMinute is a flow that a schedule starts every minute, with the time.
func everyMinute(name, text string) string {
	return fmt.Sprintf(`flow: %s
inputs: {at: {type: string, format: date-time}}
triggers: [{schedule: {cron: "* * * * *", timezone: Europe/Paris, missed: once, inputs: {at: "${now()}"}}}]
steps: [{id: send, action: test.send, with: {to: a, text: "%s at ${string(inputs.at)}"}}]
`, name, text)
}

// A daemon is one of several that share a server.
type daemon struct {
	*facteur.Host
	starter *trigger.Starter
	stop    func()
	met     atomic.Int32
}

func openDaemon(t *testing.T, n *temporal.Namespace, w *hosttest.World, flows ...string) *daemon {
	d := &daemon{starter: trigger.New(nil, trigger.Options{Log: slog.New(slog.NewTextHandler(testLog{t}, nil))})}
	d.load(t, w, flows...)
	o := options(n, w)
	o.Meet = func(ctx context.Context, due host.DueSchedule) error {
		d.met.Add(1)
		return d.starter.Meet(ctx, due)
	}
	d.Host = openHost(t, o)
	d.starter.Serve(d.Host)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = d.starter.Run(ctx)
	}()
	d.stop = func() {
		cancel()
		<-over
		_ = d.Stop(context.Background())
	}
	return d
}

func (d *daemon) load(t *testing.T, w *hosttest.World, flows ...string) {
	var plans []*plan.Plan
	for _, text := range flows {
		f, diags := flow.Parse("test.flow.yaml", []byte(text))
		require.False(t, diags.HasErrors(), diags)
		p, diags := plan.Compile(f, plan.Library{Catalog: w})
		require.False(t, diags.HasErrors(), diags)
		plans = append(plans, p)
	}
	d.starter.Set(plans)
}

type testLog struct{ testing.TB }

func (l testLog) Write(text []byte) (int, error) {
	l.Log(strings.TrimSpace(string(text)))
	return len(text), nil
}

// Each scheduled time starts one run, whichever daemons run, also if they have loaded different
// flows. Removed schedules end, and paused ones are held.
func TestSchedules(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for full minutes")
	}
	t.Parallel()
	n, w := temporal.Start(t).Namespace(t, "schedules"), hosttest.NewWorld()
	a := openDaemon(t, n, w, everyMinute("first", "old"), everyMinute("second", "x"))
	kept := func(count int) func() bool {
		return func() bool { return len(n.Open(t, "facteur.schedule")) == count }
	}
	require.Eventually(t, kept(2), 30*time.Second, 50*time.Millisecond)
	b := openDaemon(t, n, w, everyMinute("first", "new")) // loaded last: second is gone
	require.Eventually(t, kept(1), 30*time.Second, 50*time.Millisecond)
	c := openDaemon(t, n, w, everyMinute("first", "new"))

	sent := func(n int) func() bool { return func() bool { return len(w.Messages("a")) >= n } }
	require.Eventually(t, sent(1), 90*time.Second, 100*time.Millisecond)
	b.stop() // a, which has loaded older flows, starts what was loaded last
	c.stop()
	require.NoError(t, a.Pause(t.Context(), host.Flow, "first", "too loud"))
	require.Eventually(t, func() bool {
		held, err := a.Holds(t.Context())
		return err == nil && len(held) == 1 && held[0].Calls == 1
	}, 90*time.Second, 100*time.Millisecond)
	require.Len(t, w.Messages("a"), 1)
	require.NoError(t, a.Resume(t.Context(), host.Flow, "first"))
	require.Eventually(t, sent(2), 30*time.Second, 50*time.Millisecond)
	assert.Equal(t, int32(2), a.met.Load()+b.met.Load()+c.met.Load())
	at := map[string]bool{}
	for _, m := range w.Messages("a") {
		assert.Contains(t, m.Text, "new at ")
		at[m.Text] = true
	}
	assert.Len(t, at, 2)

	a.load(t, w) // it is without schedules now
	require.Eventually(t, kept(0), 30*time.Second, 50*time.Millisecond)
	a.stop()
}
