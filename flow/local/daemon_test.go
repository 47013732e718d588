package local_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
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

// openHost opens a host whose runs are all of plans that a testCatalog compiles, and stops it at
// the end of the test.
func openHost(t testing.TB, o local.Options) *local.Host {
	t.Helper()
	if o.Journal == nil {
		o.Journal = &journal.Memory{}
	}
	if o.Do == nil {
		o.Do = func(_ context.Context, c call.Call) call.Outcome { return accepted(c) }
	}
	if o.Restore == nil {
		o.Restore = func(name string, sources map[string]string) (*plan.Plan, error) {
			p, diags := plan.Restore(name, sources, plan.Library{Catalog: testCatalog{}})
			return p, diags.Err()
		}
	}
	o.Receipts = true
	h, err := local.Open(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	return h
}

func startRun(t testing.TB, h *local.Host, p *plan.Plan, inputs map[string]any) string {
	t.Helper()
	run, _, err := h.Start(context.Background(), p, host.Start{Inputs: inputs})
	require.NoError(t, err)
	return run.ID
}

func waitResult(t testing.TB, h *local.Host, run string) *host.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := h.Wait(ctx, run)
	require.NoError(t, err)
	return r
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 30*time.Second, time.Millisecond, what)
}

func statusOf(t testing.TB, h *local.Host, run string) machine.Status {
	t.Helper()
	r, err := h.Get(context.Background(), run)
	require.NoError(t, err)
	return r.Run.Status
}

const waits = "flow: waits\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}\n  - {id: send, action: test.send, with: {to: a}}\n"

// Stop lets calls in flight finish, and leaves the rest of their runs to the next host.
func TestStop(t *testing.T) {
	j := &journal.Memory{}
	under, going := make(chan bool, 1), make(chan bool)
	h := openHost(t, local.Options{Journal: j, Do: func(_ context.Context, c call.Call) call.Outcome {
		under <- true
		<-going
		return accepted(c)
	}})
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: one, action: test.send, with: {to: a}}\n  - {id: two, action: test.send, with: {to: a}}\n")
	run := startRun(t, h, p, nil)
	<-under
	soon, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorContains(t, h.Stop(soon), "1 runs had calls under way")
	var stopping *host.StoppingError
	_, _, err := h.Start(t.Context(), p, host.Start{})
	assert.ErrorAs(t, err, &stopping)
	_, err = h.Wait(t.Context(), run)
	assert.ErrorAs(t, err, &stopping)
	close(going)
	require.NoError(t, h.Stop(t.Context()))
	_, records, err := j.Load(t.Context(), run)
	require.NoError(t, err)
	taken, answered := callsIn(t, records)
	assert.Len(t, taken, 1, "nothing new was taken up")
	assert.Len(t, answered, 1, "what was under way is recorded")
	var made []string
	h = openHost(t, local.Options{Journal: j, Do: func(_ context.Context, c call.Call) call.Outcome {
		made = append(made, c.Step)
		return accepted(c)
	}})
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
	assert.Equal(t, []string{"two"}, made)
}

// A hard stop cancels calls, whose outcomes are then unknown.
func TestHardStopOfAHost(t *testing.T) {
	j := &journal.Memory{}
	hard, cut := context.WithCancel(context.Background())
	under := make(chan bool, 1)
	h := openHost(t, local.Options{Journal: j, Hard: hard, Do: func(ctx context.Context, _ call.Call) call.Outcome {
		under <- true
		<-ctx.Done()
		return lost()
	}})
	run := startRun(t, h, testCatalog{}.compile(t, one), nil)
	<-under
	cut()
	require.NoError(t, h.Stop(t.Context()))
	head, _, err := j.Load(t.Context(), run)
	require.NoError(t, err)
	assert.Equal(t, 1, head.Unknown)
	assert.Equal(t, "waiting", head.Status, "for news")
}

// A call that a hard stop prevented from being made is made when the host is opened again.
func TestHardStopBeforeACall(t *testing.T) {
	j := &journal.Memory{}
	hard, cut := context.WithCancel(context.Background())
	under := make(chan bool, 1)
	h := openHost(t, local.Options{Journal: j, Hard: hard, Do: func(ctx context.Context, _ call.Call) call.Outcome {
		under <- true
		<-ctx.Done()
		return call.Outcome{Status: call.Cancelled}
	}})
	run := startRun(t, h, testCatalog{}.compile(t, one), nil)
	<-under
	soon, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, h.Stop(soon))
	cut()
	require.NoError(t, h.Stop(t.Context()))
	h = openHost(t, local.Options{Journal: j})
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
}

// A host whose journal fails returns that error, and accepts nothing more.
func TestAJournalThatFailsUnderAHost(t *testing.T) {
	full := errors.New("the disk is full")
	for name, op := range map[string]string{"at a start": "create", "at an answer": "write", "at an end": "end"} {
		t.Run(name, func(t *testing.T) {
			var fails atomic.Bool
			j := &spyJournal{Journal: &journal.Memory{}}
			j.before = func(_ int, now string, _ bool, _ []journal.Record) error {
				if fails.Load() && now == op {
					return full
				}
				return nil
			}
			h := openHost(t, local.Options{Journal: j})
			p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: one, action: test.send, with: {to: a}}\n  - {id: two, action: test.send, with: {to: a}}\n")
			waiting := startRun(t, h, testCatalog{}.compile(t, waits), nil)
			assert.NoError(t, h.Healthy())
			fails.Store(true)
			run, _, err := h.Start(t.Context(), p, host.Start{})
			if op == "create" {
				require.ErrorIs(t, err, full)
			} else {
				require.NoError(t, err)
				_, err = h.Wait(t.Context(), run.ID)
				require.ErrorIs(t, err, full)
			}
			assert.ErrorIs(t, h.Healthy(), full)
			_, _, err = h.Start(t.Context(), p, host.Start{})
			assert.ErrorIs(t, err, full)
			assert.ErrorIs(t, h.Deliver(t.Context(), host.Event{Name: "test.reply", Subjects: []string{"a"}}), full)
			assert.ErrorIs(t, h.Cancel(t.Context(), waiting, ""), full)
			assert.ErrorIs(t, h.Stop(t.Context()), full)
			h = openHost(t, local.Options{Journal: j.Journal})
			if op != "create" {
				eventually(t, "the run ends, or waits for news", func() bool { s := statusOf(t, h, run.ID); return s == machine.Succeeded || s == host.Waiting })
			}
			require.NoError(t, h.Deliver(t.Context(), host.Event{Name: "test.reply", Subjects: []string{"a"}}))
			assert.Equal(t, machine.Succeeded, waitResult(t, h, waiting).Status)
		})
	}
}

// A run that was unfinished when a backup was made is held until a person releases it.
func TestRestored(t *testing.T) {
	j := &journal.Memory{}
	h := openHost(t, local.Options{Journal: j, MinParkTime: time.Nanosecond})
	queue := testCatalog{}.compile(t, "flow: queue\nconcurrency: {limit: 1, on_conflict: queue}\nsteps:\n  - {id: reply, wait_for: {event: test.reply, from: b, timeout: 24h}}\n")
	waiting, first, second := startRun(t, h, testCatalog{}.compile(t, waits), nil), startRun(t, h, queue, nil), startRun(t, h, queue, nil)
	ended := startRun(t, h, testCatalog{}.compile(t, one), nil)
	waitResult(t, h, ended)
	eventually(t, "it is parked", func() bool { return statusOf(t, h, waiting) == host.Waiting })
	require.NoError(t, h.Stop(t.Context()))

	h = openHost(t, local.Options{Journal: j, Restored: true})
	require.NoError(t, h.Stop(t.Context()))
	h = openHost(t, local.Options{Journal: j})
	for _, run := range []string{waiting, first, second} {
		assert.Equal(t, host.Held, statusOf(t, h, run))
	}
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a", "b"}}))
	var state *host.StateError
	assert.ErrorAs(t, h.Release(t.Context(), ended), &state)
	require.NoError(t, h.Release(t.Context(), waiting))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, waiting).Status, "what came meanwhile was kept")
	require.NoError(t, h.Release(t.Context(), second))
	assert.Equal(t, host.Queued, statusOf(t, h, second), "the first still holds its place")
	require.NoError(t, h.Release(t.Context(), first))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, first).Status)
	eventually(t, "the second begins", func() bool {
		return statusOf(t, h, second) == host.Waiting || statusOf(t, h, second) == machine.Running
	})
	require.NoError(t, h.Cancel(t.Context(), second, ""))
	assert.Equal(t, machine.Cancelled, waitResult(t, h, second).Status)
}

// An event that no run waits for, and that Fire does not want, is stored as done.
func TestEventsThatFireNothing(t *testing.T) {
	j := &journal.Memory{}
	fired := make(chan string, 2)
	h := openHost(t, local.Options{
		Journal: j,
		Fire:    func(_ context.Context, e host.Event, _ bool) error { fired <- e.ID; return nil },
		Fires:   func(e host.Event) bool { return e.ID == "of a trigger" },
	})
	run := startRun(t, h, testCatalog{}.compile(t, "flow: f\nsteps:\n  - wait_for: {event: test.reply, from: a, timeout: 24h}\n"), nil)
	none := func() bool {
		open, err := j.OpenEvents(t.Context())
		require.NoError(t, err)
		return len(open) == 0
	}
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "of nobody", Name: "test.reply", Subjects: []string{"b"}}))
	assert.True(t, none())
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "of a run", Name: "test.reply", Subjects: []string{"a"}}))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
	eventually(t, "the run had its say", none)
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "of a trigger", Name: "test.reply", Subjects: []string{"a"}}))
	assert.Equal(t, "of a trigger", <-fired)
	assert.Empty(t, fired)
}

// A repeated event wakes no run for good.
func TestRepeatedEvent(t *testing.T) {
	h := openHost(t, local.Options{Journal: &journal.Memory{}, MinParkTime: time.Nanosecond})
	run := startRun(t, h, testCatalog{}.compile(t, "flow: f\nsteps:\n  - wait_for: {event: test.reply, from: a, timeout: 24h}\n  - wait_for: {event: test.reply, from: a, timeout: 24h}\n"), nil)
	eventually(t, "it is parked", func() bool { return statusOf(t, h, run) == host.Waiting })
	told := host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a"}}
	for range 3 {
		require.NoError(t, h.Deliver(t.Context(), told))
		eventually(t, "it is parked again", func() bool { return statusOf(t, h, run) == host.Waiting })
	}
	told.ID = "2"
	require.NoError(t, h.Deliver(t.Context(), told))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
}

// A run whose journal does not fit goes no further, and says why.
func TestMismatch(t *testing.T) {
	j := &journal.Memory{}
	h := openHost(t, local.Options{Journal: j, MinParkTime: time.Nanosecond})
	run := startRun(t, h, testCatalog{}.compile(t, waits), nil)
	eventually(t, "it is parked", func() bool { return statusOf(t, h, run) == host.Waiting })
	require.NoError(t, h.Stop(t.Context()))

	broken := errors.New("no action test.send")
	h = openHost(t, local.Options{Journal: j, Restore: func(string, map[string]string) (*plan.Plan, error) { return nil, broken }})
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a"}}))
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, run) == host.Mismatch })
	r, err := h.Get(t.Context(), run)
	require.NoError(t, err)
	assert.Equal(t, "replay_mismatch", r.Result.Error.Code)
	assert.Contains(t, r.Result.Error.Message, "no action test.send")
	assert.NotEmpty(t, r.Journal)
	require.NoError(t, h.Stop(t.Context()))

	h = openHost(t, local.Options{Journal: j})
	assert.Equal(t, host.Mismatch, statusOf(t, h, run), "nothing is tried behind people's backs")
	require.NoError(t, h.Release(t.Context(), run))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)

	h = openHost(t, local.Options{Journal: j, Restore: func(string, map[string]string) (*plan.Plan, error) { return nil, broken }})
	_, err = h.Get(t.Context(), run)
	assert.NoError(t, err, "what is known is told")
	var mismatch *machine.MismatchError
	assert.ErrorAs(t, h.Retry(t.Context(), run, false), &mismatch)
}

func TestCancelOfAStuckRun(t *testing.T) {
	j := &journal.Memory{}
	require.NoError(t, j.Create(t.Context(), journal.Run{ID: "r", Flow: "f", Digest: "d", Version: 99, Status: "running", Started: time.Now()}, journal.Change{}))
	h := openHost(t, local.Options{Journal: j})
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, "r") == host.Mismatch })
	require.NoError(t, h.Cancel(t.Context(), "r", "nobody can repair it"))
	assert.Equal(t, machine.Cancelled, statusOf(t, h, "r"))
}

// A panic after the first calls of a run loses none of their receipts: the run has begun, and
// is stuck where people see it.
func TestAFaultAtTheStart(t *testing.T) {
	for name, answer := range map[string]call.Outcome{"answered": accepted(call.Call{Key: "k"}), "lost": lost()} {
		t.Run(name, func(t *testing.T) {
			j := &journal.Memory{}
			going := make(chan bool)
			faults := make(chan any, 1)
			h := openHost(t, local.Options{Journal: j,
				Do: func(context.Context, call.Call) call.Outcome { <-going; return answer },
				Crash: func(at local.Point, step string, _ int) bool {
					if at == local.Scheduled && strings.HasSuffix(step, "b") {
						panic("out of luck")
					}
					return false
				},
				Panicked: func(_ call.Call, v any, _ []byte) { faults <- v },
			})
			p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - id: both\n    parallel:\n"+
				"      left: [{id: a, action: test.send, with: {to: a}}]\n      right: [{id: b, action: test.send, with: {to: b}}]\n")
			run, fresh, err := h.Start(t.Context(), p, host.Start{Key: "order 7"})
			require.NoError(t, err)
			assert.True(t, fresh)
			assert.Equal(t, "out of luck", <-faults)
			again, fresh, err := h.Start(t.Context(), p, host.Start{Key: "order 7"})
			require.NoError(t, err)
			assert.False(t, fresh)
			assert.Equal(t, run.ID, again.ID)
			close(going)
			eventually(t, "it is stuck", func() bool { return statusOf(t, h, run.ID) == host.Mismatch })
			r, err := h.Get(t.Context(), run.ID)
			require.NoError(t, err)
			assert.Contains(t, r.Result.Error.Message, "a bug in the program")
			unknown := 2
			if name == "answered" {
				unknown = 1 // nobody knows that the other one was not made
			}
			assert.Equal(t, unknown, r.Run.Unknown)
			require.Len(t, r.Calls, 2)
			require.NotNil(t, r.Calls[0].Outcome, "what became of the first call is stored")
			assert.Equal(t, answer.Status, r.Calls[0].Outcome.Status)
			require.NoError(t, h.Cancel(t.Context(), run.ID, ""))
			listed, _, err := h.List(t.Context(), host.Filter{Unknown: true})
			require.NoError(t, err)
			require.Len(t, listed, 1)
			assert.Equal(t, unknown, listed[0].Unknown)
		})
	}
}

// Runs of one flow do not keep those of another from a limit that they share.
func TestFlowsTakeTurns(t *testing.T) {
	k := limitedCatalog(call.Limit{Key: "all", Rate: 200, Burst: 1}, call.Limit{})
	var mu sync.Mutex
	var order []string
	h := openHost(t, local.Options{MinParkTime: time.Nanosecond, Do: func(_ context.Context, c call.Call) call.Outcome {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, c.Input["to"].(string))
		return accepted(c)
	}})
	flow := func(name string) *plan.Plan {
		return k.compile(t, fmt.Sprintf("flow: %s\nsteps:\n  - {id: send, action: test.send, with: {to: %s}}\n", name, name))
	}
	bulk, single := flow("bulk"), flow("single")
	var runs []string
	for range 100 {
		runs = append(runs, startRun(t, h, bulk, nil))
	}
	held, err := h.Get(t.Context(), runs[99])
	require.NoError(t, err)
	require.Len(t, held.Holds, 1)
	assert.Contains(t, held.Holds[0].Reason, "200 a second")
	assert.False(t, held.Holds[0].Until.IsZero())
	mu.Lock()
	before := len(order)
	mu.Unlock()
	waitResult(t, h, startRun(t, h, single, nil))
	mu.Lock()
	assert.Less(t, slices.Index(order, "single"), before+20)
	mu.Unlock()
	for _, run := range runs {
		assert.Equal(t, 1, waitResult(t, h, run).Steps[0].Attempts)
	}
	assert.Len(t, order, 101)
}

// A clock that is put back makes no run miss a reply.
func TestAClockThatIsPutBack(t *testing.T) {
	clock := &shiftedClock{}
	h := openHost(t, local.Options{Clock: clock, MinParkTime: time.Nanosecond})
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: ask, action: test.send, with: {to: a}}\n  - {id: reply, wait_for: {event: test.reply, from: a, timeout: 24h}}\n")
	run := startRun(t, h, p, nil)
	eventually(t, "it is parked", func() bool { return statusOf(t, h, run) == host.Waiting })
	clock.behind.Store(int64(time.Hour))
	require.NoError(t, h.Deliver(t.Context(), host.Event{ID: "1", Name: "test.reply", Subjects: []string{"a"}, At: clock.Now()}))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
}

// A shiftedClock is the system clock, put back.
type shiftedClock struct {
	host.System
	behind atomic.Int64
}

func (c *shiftedClock) Now() time.Time { return time.Now().Add(-time.Duration(c.behind.Load())) }

// Callbacks that panic harm neither runs nor the host.
func TestCallbacksThatPanic(t *testing.T) {
	var mu sync.Mutex
	var told []string
	tell := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf(format, args...))
	}
	h := openHost(t, local.Options{
		OnStep:   func(_ string, s *machine.Step, _ []any) { tell("step %s", s.Path); panic("out of ink") },
		OnEnd:    func(r *host.Result) { tell("end %s", r.Status); panic("out of ink") },
		OnHold:   func(held host.Hold, lifted bool) { tell("%s hold %v", held.Scope, lifted) },
		Panicked: func(c call.Call, v any, _ []byte) { tell("panic %v", v) },
	})
	waitResult(t, h, startRun(t, h, testCatalog{}.compile(t, one), nil))
	require.NoError(t, h.Pause(t.Context(), host.All, "", ""))
	require.NoError(t, h.Pause(t.Context(), host.All, "", "again"))
	require.NoError(t, h.Resume(t.Context(), host.All, ""))
	require.NoError(t, h.Stop(t.Context()))
	assert.Contains(t, told, "step send")
	assert.Contains(t, told, "end succeeded")
	assert.Contains(t, told, "panic out of ink")
	assert.Subset(t, told, []string{"all hold false", "all hold true"})
	assert.Error(t, h.Pause(t.Context(), "everything", "", ""))
	assert.Error(t, h.Pause(t.Context(), host.All, "x", ""))
	assert.Error(t, h.Pause(t.Context(), host.Flow, "", ""))
}

// While a connection cannot be resolved, one call at a time probes it, which costs no attempt.
func TestHeldCallsOfAHost(t *testing.T) {
	var away atomic.Bool
	var asked atomic.Int64
	away.Store(true)
	h := openHost(t, local.Options{MinParkTime: time.Nanosecond, Do: func(_ context.Context, c call.Call) call.Outcome {
		if !away.Load() {
			return accepted(c)
		}
		asked.Add(1)
		o := refused(true)
		o.Held = true
		return o
	}})
	p := testCatalog{app: "TEST"}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, connection: shop, with: {to: a}}\n")
	var runs []string
	for range 11 {
		runs = append(runs, startRun(t, h, p, nil))
	}
	eventually(t, "all are held", func() bool {
		list, err := h.Holds(t.Context())
		require.NoError(t, err)
		return len(list) == 1 && list[0].Calls == 11 && list[0].Auto
	})
	before := asked.Load()
	eventually(t, "one tries", func() bool { return asked.Load() > before })
	away.Store(false)
	for _, run := range runs {
		r := waitResult(t, h, run)
		assert.Equal(t, 1, r.Steps[0].Attempts)
	}
	assert.LessOrEqual(t, asked.Load(), before+2)
}

// Workers bounds the runs that execute at the same time, and flows take turns in the run queue.
func TestWorkers(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	h := openHost(t, local.Options{Workers: 3, Do: func(_ context.Context, c call.Call) call.Outcome {
		mu.Lock()
		if now++; now > most {
			most = now
		}
		mu.Unlock()
		time.Sleep(100 * time.Microsecond)
		mu.Lock()
		now--
		mu.Unlock()
		return accepted(c)
	}})
	p := testCatalog{}.compile(t, one)
	var runs []string
	for range 100 {
		runs = append(runs, startRun(t, h, p, nil))
	}
	for _, run := range runs {
		waitResult(t, h, run)
	}
	assert.LessOrEqual(t, most, 3)
}

// A long run that gets messages all the time is not rebuilt for each.
func TestALongRunIsNotRebuiltForEachReceipt(t *testing.T) {
	j := &loadCounter{Journal: &journal.Memory{}}
	keys := make(chan string, 300)
	h := openHost(t, local.Options{Journal: j, MinParkTime: time.Nanosecond, Do: func(_ context.Context, c call.Call) call.Outcome {
		keys <- c.Key
		return call.Outcome{Status: call.Pending}
	}})
	run := startRun(t, h, testCatalog{}.compile(t, `
flow: f
steps:
  - foreach: "${lists.range(300)}"
    as: n
    concurrency: 300
    steps: [{id: send, action: test.send, with: {to: "${string(n)}"}, await: {state: delivered, timeout: 24h}}]
`), nil)
	for range 300 {
		require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: <-keys, ID: "1", State: "delivered"}))
	}
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
	assert.Less(t, j.n.Load(), int64(60))
}

// A loadCounter counts how often runs are loaded.
type loadCounter struct {
	journal.Journal
	n atomic.Int64
}

func (l *loadCounter) Load(ctx context.Context, run string) (journal.Run, []journal.Record, error) {
	l.n.Add(1)
	return l.Journal.Load(ctx, run)
}
