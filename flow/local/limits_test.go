package local_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limitedCatalog limits test.send by one bucket for all calls, and by one per recipient.
func limitedCatalog(all, each call.Limit) testCatalog {
	return testCatalog{limits: func(_ string, in map[string]any) []call.Limit {
		own := each
		own.Key += in["to"].(string)
		return []call.Limit{all, own}
	}}
}

func sendLoop(n int, to string) string {
	return fmt.Sprintf(`
flow: f
steps:
  - id: each
    foreach: "${lists.range(%d)}"
    as: n
    concurrency: %d
    allow_failure: true
    steps: [{id: send, action: test.send, timeout: 10s, with: {to: "%s"}}]
`, n, n, to)
}

// callTimes returns when the calls of a run were made, in seconds after its start, and asserts
// that none was taken up before that.
func callTimes(t *testing.T, p testCatalog, source string, outcome func(n int, c call.Call) call.Outcome) []float64 {
	t.Helper()
	clock := newVirtualClock()
	began := clock.Now()
	j := &journal.Memory{}
	var out []float64
	h := local.New(local.Options{Journal: j, Clock: clock, Do: func(_ context.Context, c call.Call) call.Outcome {
		out = append(out, clock.Now().Sub(began).Seconds())
		return outcome(len(out), c)
	}})
	_, err := h.Run(t.Context(), p.compile(t, source), testStart())
	require.NoError(t, err)
	_, records, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	var taken []float64
	for _, r := range records {
		if r.Kind == "taken" {
			taken = append(taken, r.At.Sub(began).Seconds())
		}
	}
	assert.Equal(t, taken, out, "a call is held back before it is taken up")
	return out
}

func succeed(_ int, c call.Call) call.Outcome { return accepted(c) }

func TestLimitsHoldCallsBack(t *testing.T) {
	wide := call.Limit{Key: "each:", Rate: 1000, Burst: 1000}
	assert.Equal(t, []float64{0, 0, 0, 1, 2, 3, 4, 5},
		callTimes(t, limitedCatalog(call.Limit{Key: "all", Rate: 1, Burst: 3}, wide), sendLoop(8, "a"), succeed))
	assert.Equal(t, []float64{0, 0, 0, 0, 0, 0, 0, 0},
		callTimes(t, limitedCatalog(call.Limit{Key: "all"}, wide), sendLoop(8, "a"), succeed), "no rate is no limit")

	// One recipient has to wait; the others go on.
	assert.Equal(t, []float64{0, 0, 0, 6, 12, 18},
		callTimes(t, limitedCatalog(call.Limit{Key: "all", Rate: 1000, Burst: 1000}, call.Limit{Key: "each:", Rate: 1. / 6, Burst: 1}),
			sendLoop(6, "${n == 1 || n == 2 ? string(n) : 'a'}"), succeed))
}

// A bulk run does not keep others from sending: they take turns.
func TestRunsTakeTurns(t *testing.T) {
	k := limitedCatalog(call.Limit{Key: "all", Rate: 100, Burst: 1}, call.Limit{})
	var mu sync.Mutex
	var order []string
	underWay := make(chan bool)
	var once sync.Once
	h := local.New(local.Options{Journal: &journal.Memory{}, Do: func(_ context.Context, c call.Call) call.Outcome {
		mu.Lock()
		order = append(order, c.Run)
		mu.Unlock()
		once.Do(func() { close(underWay) })
		return accepted(c)
	}})
	bulk, single := k.compile(t, sendLoop(60, "a")), k.compile(t, one)
	var runs sync.WaitGroup
	runs.Go(func() { _, err := h.Run(t.Context(), bulk, local.Start{ID: "bulk"}); assert.NoError(t, err) })
	<-underWay
	_, err := h.Run(t.Context(), single, local.Start{ID: "single"})
	require.NoError(t, err)
	runs.Wait()
	require.Len(t, order, 61)
	assert.Less(t, slices.Index(order, "single"), 55)
}

// A run that is cancelled while its calls are held back takes none of them up, and releases its
// waiters.
func TestCancelledWhileHeldBack(t *testing.T) {
	k := limitedCatalog(call.Limit{Key: "all", Rate: 1, Burst: 1}, call.Limit{})
	clock := newVirtualClock()
	began := clock.Now()
	ctx, cancel := context.WithCancel(t.Context())
	j := &journal.Memory{}
	made := 0
	h := local.New(local.Options{Journal: j, Clock: clock, Do: func(_ context.Context, c call.Call) call.Outcome {
		if made++; made == 3 {
			cancel()
		}
		return accepted(c)
	}})
	result, err := h.Run(ctx, k.compile(t, sendLoop(1000, "a")), testStart())
	require.NoError(t, err)
	assert.Equal(t, machine.Cancelled, result.Status)
	_, records, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	taken, _ := callsIn(t, records)
	assert.Len(t, taken, 3)
	_, err = h.Run(t.Context(), k.compile(t, one), local.Start{ID: "next"})
	require.NoError(t, err)
	assert.LessOrEqual(t, clock.Now().Sub(began), 4*time.Second)
}

// A throttled answer halves the rate, which grows back within a minute.
func TestThrottledAnswersLowerTheBucket(t *testing.T) {
	all := call.Limit{Key: "all", Rate: 10, Burst: 1}
	throttled := func(bad func(n int) bool) func(int, call.Call) call.Outcome {
		return func(n int, c call.Call) call.Outcome {
			if !bad(n) {
				return accepted(c)
			}
			o := refused(false)
			o.Throttled = "all"
			return o
		}
	}
	at := callTimes(t, limitedCatalog(all, call.Limit{}), sendLoop(700, "a"), throttled(func(n int) bool { return n == 1 }))
	gap := func(n int) float64 { return at[n+1] - at[n] }
	assert.InDelta(t, 0.2, gap(2), 0.01, "half the rate, but for the call that had its place")
	for n := 3; n+1 < len(at); n++ {
		require.LessOrEqual(t, gap(n), gap(n-1)+1e-6)
	}
	after := slices.IndexFunc(at, func(s float64) bool { return s > 62 })
	require.Positive(t, after)
	assert.InDelta(t, 0.1, gap(after), 0.001, "the full rate again")

	// Throttled answers to calls made together count as one.
	wide := call.Limit{Key: "all", Rate: 10, Burst: 10}
	at = callTimes(t, limitedCatalog(wide, call.Limit{}), sendLoop(20, "a"), throttled(func(n int) bool { return n <= 10 }))
	assert.InDelta(t, 0.2, at[12]-at[11], 0.01)

	// Further throttled answers slow it down further, up to a bound.
	at = callTimes(t, limitedCatalog(all, call.Limit{}), sendLoop(40, "a"), throttled(func(int) bool { return true }))
	assert.Greater(t, gap(20), 1.0)
	assert.LessOrEqual(t, gap(38), 6.5)

	// Occasional throttled answers leave it a usable rate.
	fast := call.Limit{Key: "all", Rate: 80, Burst: 1}
	at = callTimes(t, limitedCatalog(fast, call.Limit{}), sendLoop(1000, "a"), throttled(func(n int) bool { return n%100 == 50 }))
	assert.Less(t, at[999], 100.0)

	// A throttled answer about another limit does not matter here.
	at = callTimes(t, limitedCatalog(all, call.Limit{}), sendLoop(10, "a"), func(_ int, c call.Call) call.Outcome {
		o := accepted(c)
		o.Throttled = "another"
		return o
	})
	assert.InDelta(t, 0.9, at[9], 0.001)
}

// While answers slow a limit with a name down, OnHold is called at each big step.
func TestSlowdownsAreReported(t *testing.T) {
	all := call.Limit{Key: "test:number:7", Rate: 80, Burst: 1, Of: "number"}
	clock := newVirtualClock()
	began := clock.Now()
	var told []host.Hold
	h := local.New(local.Options{
		Journal: &journal.Memory{}, Clock: clock,
		OnHold: func(held host.Hold, _ bool) { told = append(told, held) },
		Do: func(_ context.Context, c call.Call) call.Outcome {
			if clock.Now().Sub(began) > 12*time.Second {
				return accepted(c)
			}
			o := refused(false)
			o.Throttled = all.Key
			return o
		},
	})
	_, err := h.Run(t.Context(), limitedCatalog(all, call.Limit{Rate: 1, Burst: 1000}).compile(t, sendLoop(700, "a")), testStart())
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(told), 6)
	require.LessOrEqual(t, len(told), 8)
	first, last := told[0], told[len(told)-1]
	assert.Equal(t, host.Hold{
		Scope: host.Limit, Name: "number 7", Auto: true, Calls: first.Calls, Since: began, Until: began.Add(time.Minute),
		Reason: "answers said that the number 7 is too fast: 40 a second now, growing back to 80 a second by 00:01:00 UTC",
	}, first)
	assert.Regexp(t, `: 1\.\d\d? a second now, growing back to 80 a second by 00:01:`, last.Reason)
	assert.Equal(t, began, last.Since)
}

// It is listed in Holds while it is slow, and the calls that wait for it say so.
func TestSlowdownsAreListed(t *testing.T) {
	k := limitedCatalog(call.Limit{Key: "test:number:7", Rate: 0.02, Burst: 1, Of: "number"}, call.Limit{})
	h := openHost(t, local.Options{MinParkTime: time.Nanosecond, Do: func(_ context.Context, c call.Call) call.Outcome {
		o := refused(false)
		o.Throttled = "test:number:7"
		return o
	}})
	holds, err := h.Holds(t.Context())
	require.NoError(t, err)
	require.Empty(t, holds)
	run := startRun(t, h, k.compile(t, sendLoop(2, "a")), nil)
	eventually(t, "the second waits", func() bool { return statusOf(t, h, run) == host.Waiting })
	holds, err = h.Holds(t.Context())
	require.NoError(t, err)
	require.Len(t, holds, 1)
	assert.Equal(t, "number 7", holds[0].Name)
	assert.Equal(t, 1, holds[0].Calls)
	r, err := h.Get(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, r.Holds, 1)
	assert.Regexp(t, `^it waits for its turn: answers said that the number 7 is too fast: one every 1m\d\d(\.\d+)?s now, growing back to one every 50s by \d\d:\d\d:\d\d UTC$`, r.Holds[0].Reason)
}

// When there are many buckets the full ones are dropped, and none with waiters.
func TestManyBuckets(t *testing.T) {
	const calls, each = 130, 1000
	k := testCatalog{limits: func(_ string, in map[string]any) []call.Limit {
		n := in["to"].(string)
		limits := []call.Limit{{Key: "all", Rate: 1, Burst: 1}}
		for i := range each {
			limits = append(limits, call.Limit{Key: fmt.Sprintf("%s/%d", n, i), Rate: 1000, Burst: 1})
		}
		if n == "0" || n == fmt.Sprint(calls-1) {
			limits = append(limits, call.Limit{Key: "tight", Rate: 1. / 3600, Burst: 1})
		}
		return limits
	}}
	at := callTimes(t, k, strings.Replace(sendLoop(calls, "${string(n)}"), fmt.Sprintf("concurrency: %d", calls), "concurrency: 1", 1), succeed)
	assert.Equal(t, float64(calls-2), at[calls-2])
	assert.Equal(t, 3600., at[calls-1])
}

// Backlog tells operators how far behind the limits are.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := limitedCatalog(call.Limit{Key: "all", Rate: 0.1, Burst: 1}, call.Limit{Key: "each:", Rate: 1000, Burst: 1000})
		h := openHost(t, local.Options{Restore: func(name string, sources map[string]string) (*plan.Plan, error) {
			p, diags := plan.Restore(name, sources, plan.Library{Catalog: k})
			return p, diags.Err()
		}})
		backlog := func(runs int, wait time.Duration) {
			t.Helper()
			synctest.Wait()
			n, d := h.Backlog()
			assert.Equal(t, []any{runs, wait}, []any{n, d})
		}
		backlog(0, 0)
		p := k.compile(t, one)
		for range 4 {
			startRun(t, h, p, nil)
		}
		backlog(3, 30*time.Second)
		time.Sleep(15 * time.Second) // of the bubble
		backlog(2, 15*time.Second)
		time.Sleep(time.Minute)
		backlog(0, 0)
	})
}

// A call that a limit holds back says so, also in the next host before it queues there.
func TestALimitShowsAfterARestart(t *testing.T) {
	k := limitedCatalog(call.Limit{Key: "all", Rate: 0.01, Burst: 1}, call.Limit{})
	o := local.Options{Journal: &journal.Memory{}, MinParkTime: time.Nanosecond, Restore: func(name string, sources map[string]string) (*plan.Plan, error) {
		p, diags := plan.Restore(name, sources, plan.Library{Catalog: k})
		return p, diags.Err()
	}}
	h := openHost(t, o)
	p := k.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n")
	waitResult(t, h, startRun(t, h, p, nil))
	run := startRun(t, h, p, nil)
	eventually(t, "it is parked", func() bool { return statusOf(t, h, run) == host.Waiting })
	for _, want := range []string{"it waits for its turn: the limit is one every 1m40s", "it waits for its turn"} {
		r, err := h.Get(t.Context(), run)
		require.NoError(t, err)
		require.Len(t, r.Holds, 1)
		assert.Equal(t, want, r.Holds[0].Reason)
		assert.False(t, r.Holds[0].Until.IsZero())
		require.NoError(t, h.Stop(t.Context()))
		h = openHost(t, o)
	}
}
