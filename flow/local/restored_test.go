package local_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fakeAPI is the world in which a run went on after a backup, and then again from the restored
// backup. It records which call wrote to whom.
type fakeAPI struct {
	mu    sync.Mutex
	wrote map[string]string   // who was written to, by key
	times map[string]int      // how often, by who
	deny  map[string]int      // how many more attempts are refused
	lose  map[string]bool     // whose answer is lost
	after map[string][]string // who must have been written to before
	cond  *sync.Cond
}

func newFakeAPI() *fakeAPI {
	p := &fakeAPI{wrote: map[string]string{}, times: map[string]int{}, deny: map[string]int{}, lose: map[string]bool{}}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *fakeAPI) do(_ context.Context, c call.Call) call.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	to, _ := c.Input["to"].(string)
	for slices.ContainsFunc(p.after[to], func(other string) bool { return p.times[other] == 0 }) {
		p.cond.Wait()
	}
	if p.deny[to] > 0 {
		p.deny[to]--
		return refused(true)
	}
	p.wrote[c.Key], p.times[to] = to, p.times[to]+1
	p.cond.Broadcast()
	if p.lose[to] {
		return lost()
	}
	return accepted(c)
}

func (p *fakeAPI) receipts(key string) ([]call.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wrote[key] == "" {
		return nil, nil
	}
	return []call.Receipt{{ID: key, State: "sent"}}, nil
}

// Whatever moment a backup is of, restoring it makes the run do nothing twice and leave nobody
// out: where the receipts do not tell, the run stops.
func TestWhatARunDidAfterTheBackup(t *testing.T) {
	const (
		everywhere = -1 // the run is told by its receipts alone, and goes on to the end
	)
	sends := func(names ...string) (text string) {
		for _, name := range names {
			text += fmt.Sprintf("  - {id: %s, action: test.send, with: {to: %[1]s}, unknown_timeout: 20ms, retry: {attempts: 3, delay: 1ms}}\n", name)
		}
		return text
	}
	const parallel = `flow: f
steps:
  - parallel:
      one:
        - {id: a, action: test.send, with: {to: a}, unknown_timeout: 20ms}
        - {id: b, action: test.send, with: {to: b}, unknown_timeout: 20ms}
      two:
        - {id: c, action: test.send, with: {to: c}, unknown_timeout: 20ms}
        - {id: d, action: test.send, with: {to: d}, unknown_timeout: 20ms}
`
	foreach := func(more string) string {
		return "flow: f\nsteps:\n  - foreach: [a, b, c, d, e]\n    as: item\n" + more + "    steps: [{action: test.send, with: {to: '${item}'}, unknown_timeout: 20ms, retry: {attempts: 3, delay: 1ms}}]\n"
	}
	for name, test := range map[string]struct {
		flow  string
		world func(p *fakeAPI) // of the first time
		to    []string
		stuck int // from how many of the first records the run must stand still; the rest is checked all the same
	}{
		"one message":       {flow: "flow: f\nsteps:\n" + sends("a"), to: []string{"a"}, stuck: everywhere},
		"one after another": {flow: "flow: f\nsteps:\n" + sends("a", "b", "c"), to: []string{"a", "b", "c"}, stuck: everywhere},
		"a list":            {flow: foreach(""), to: []string{"a", "b", "c", "d", "e"}, stuck: everywhere},
		"the first attempt was refused": {
			flow: "flow: f\nsteps:\n" + sends("a", "b"), to: []string{"a", "b"}, stuck: 1,
			world: func(p *fakeAPI) { p.deny["a"] = 1 },
		},
		"attempts for one of a list were refused": {
			flow: foreach(""), to: []string{"a", "b", "c", "d", "e"}, stuck: 1,
			world: func(p *fakeAPI) { p.deny["c"] = 2 },
		},
		"branches took turns in another way": {
			flow: parallel, to: []string{"a", "b", "c", "d"}, stuck: 1,
			world: func(p *fakeAPI) { p.after = map[string][]string{"a": {"d"}} },
		},
		"several of a list at a time": {
			flow: foreach("    concurrency: 2\n"), to: []string{"a", "b", "c", "d", "e"}, stuck: 1,
			world: func(p *fakeAPI) { p.after = map[string][]string{"a": {"c"}} },
		},
		"it had failed": {
			flow: "flow: f\nsteps:\n" + sends("a", "b") + "on_failure:\n" + sends("z"), to: []string{"a", "b"}, stuck: 1,
			world: func(p *fakeAPI) { p.lose["a"] = true },
		},
		"a failure was caught": {
			flow: "flow: f\nsteps:\n  - try:\n    - {id: a, action: test.send, with: {to: a}, unknown_timeout: 1ms}\n    catch:\n    - steps: [{id: z, action: test.send, with: {to: z}, unknown_timeout: 1ms}]\n" + sends("b"),
			to:   []string{"a", "b"}, stuck: 1,
			world: func(p *fakeAPI) { p.lose["a"] = true },
		},
		"what follows turns on what became of it": {
			flow: "flow: f\nsteps:\n  - {id: a, action: test.send, with: {to: a}, unknown_timeout: 1ms, allow_failure: true}\n" +
				"  - {id: z, if: \"steps.a.status == 'failed'\", action: test.send, with: {to: z}, unknown_timeout: 1ms}\n" + sends("b"),
			to: []string{"a", "b"}, stuck: 1,
			world: func(p *fakeAPI) { p.lose["a"] = true },
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, before := &journal.Memory{}, newFakeAPI()
			if test.world != nil {
				test.world(before)
			}
			h := openHost(t, local.Options{Journal: j, Do: before.do})
			run := startRun(t, h, testCatalog{}.compile(t, test.flow), nil)
			waitResult(t, h, run)
			require.NoError(t, h.Stop(t.Context()))
			head, records, err := j.Load(t.Context(), run)
			require.NoError(t, err)
			check := func(n int, early bool, tells func(key string) bool) {
				p := newFakeAPI()
				for key, to := range before.wrote {
					p.times[to]++
					if tells(key) {
						p.wrote[key] = to
					}
				}
				all, was := len(p.wrote) == len(before.wrote), fmt.Sprint(p.times)
				h := openHost(t, local.Options{Journal: journalOf(t, head, records[:n]), Do: p.do, Past: hosttest.PastByKey(p.receipts), Restored: true})
				for i := range 20 {
					if key := fmt.Sprintf("f1.%s.%d", run, i); early && p.wrote[key] != "" {
						require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: key, ID: key, State: "sent"}))
					}
				}
				require.NoError(t, h.Release(t.Context(), run))
				var r *host.Report
				eventually(t, "it stands still", func() bool {
					r, err = h.Get(t.Context(), run)
					require.NoError(t, err)
					return r.Run.Status != machine.Running && r.Run.Status != host.Waiting
				})
				require.NoError(t, h.Stop(t.Context()))
				for _, to := range test.to {
					assert.False(t, r.Run.Status == machine.Succeeded && p.times[to] == 0, "nobody wrote to %s, a backup of %d records, %v told", to, n, p.wrote)
				}
				if !all {
					return
				}
				for to, times := range p.times {
					assert.LessOrEqual(t, times, 1, "%s, a backup of %d records", to, n)
				}
				switch {
				case test.stuck == everywhere:
					assert.Equal(t, machine.Succeeded, r.Run.Status, "a backup of %d records: %v", n, r.Result.Error)
					assert.Equal(t, was, fmt.Sprint(p.times), "a backup of %d records", n)
				case n == test.stuck:
					assert.Equal(t, host.Mismatch, r.Run.Status, "a backup of %d records", n)
				}
			}
			for n := 1; n < len(records); n++ {
				check(n, false, func(string) bool { return true })
				check(n, true, func(string) bool { return true }) // they come again while it is held
				for one := range before.wrote {
					check(n, false, func(key string) bool { return key == one })
					check(n, false, func(key string) bool { return key != one })
				}
			}
		})
	}
}

// A restored run that cannot know what it did since the backup becomes host.Mismatch, sends
// nothing, is tried again when it is released, and ends when it is cancelled.
func TestReceiptsThatMayBeOfAnotherCall(t *testing.T) {
	const (
		send   = "  - {id: send, action: test.send, with: {to: a}}\n"
		fails  = "on_failure:\n  - {id: z, action: test.send, with: {to: z}}\n"
		pauses = "  - {id: pause, wait: 10ms}\n"
	)
	release := func(h *local.Host, run string) error { return h.Release(t.Context(), run) }
	for name, test := range map[string]struct {
		flow  string
		came  map[int]string                        // the state that receipts show, by the number of the call
		first func(h *local.Host, run string) error // nil: the backup does not have it
		later string                                // what comes while the call waits
		why   string
	}{
		"of a later call":       {flow: send, came: map[int]string{2: "sent"}, first: release, why: "there are receipts of its call 2, which is not in the backup, but none of call 1, which step send would make before it"},
		"of one much later":     {flow: send, came: map[int]string{60: "sent"}, first: release, why: "receipts of its call 60"},
		"that it failed":        {flow: send, came: map[int]string{1: "failed"}, first: release, why: "its call 1, of step send, was made after the backup and did not succeed"},
		"of a failure, perhaps": {flow: pauses + send + fails, came: map[int]string{1: "sent"}, first: release, why: "receipts of its call 1, which is not in the backup, and it is not certain that this is the call"},
		"while it waits":        {flow: pauses + send + fails, first: release, later: "f1.%s.1", why: "receipts of its call 1"},
		"while it waits beside others": {
			flow:  "  - parallel:\n      one:\n        - wait: 10ms\n        - {id: send, action: test.send, with: {to: a}}\n      two: [{wait: 1h}]\n",
			first: release, later: "f1.%s.1", why: "receipts of its call 1",
		},
		"of a later call while it waits": {flow: pauses + send, first: release, later: "f1.%s.2", why: "receipts of its call 2"},
		"of one that was taken back": {flow: send, came: map[int]string{1: "sent"}, why: "receipts of its call 1, which", first: func(h *local.Host, run string) error {
			if err := h.Cancel(t.Context(), run, ""); err != nil {
				return err
			}
			waitResult(t, h, run)
			return h.Retry(t.Context(), run, false)
		}},
		"of one after one that was taken back": {flow: send, came: map[int]string{2: "sent"}, why: "receipts of its call 2, which", first: func(h *local.Host, run string) error {
			if err := h.Cancel(t.Context(), run, ""); err != nil {
				return err
			}
			waitResult(t, h, run)
			return h.Retry(t.Context(), run, false)
		}},
		"of another start with its key": {flow: send, came: map[int]string{2: "sent"}, why: "receipts of its call 2"},
	} {
		t.Run(name, func(t *testing.T) {
			p, told := testCatalog{}.compile(t, "flow: f\nsteps:\n"+test.flow), make(chan error, 10)
			var mu sync.Mutex
			o := local.Options{
				Restored: true, MinParkTime: 2 * time.Hour, // what waits for a time stays in memory
				Do:      func(_ context.Context, c call.Call) call.Outcome { t.Error("it sends"); return accepted(c) },
				OnStuck: func(_ string, why error) { told <- why },
				Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
					mu.Lock()
					defer mu.Unlock()
					for n, state := range test.came {
						if strings.HasSuffix(key, "."+strconv.Itoa(n)) {
							return []call.Receipt{{ID: "1", State: state}}, nil
						}
					}
					return nil, nil
				}),
			}
			j := &journal.Memory{}
			h := openHost(t, local.Options{Journal: j})
			require.NoError(t, h.Pause(t.Context(), host.All, "", ""))
			run, start := startRun(t, h, p, nil), host.Start{Key: "order 7"}
			require.NoError(t, h.Stop(t.Context()))
			if test.first == nil {
				o.Journal = &journal.Memory{}
			} else {
				head, records, err := j.Load(t.Context(), run)
				require.NoError(t, err)
				o.Journal = journalOf(t, head, records[:1])
			}
			o.Backups = []local.Backup{{At: time.Now()}}
			h = openHost(t, o)
			require.NoError(t, h.Pause(t.Context(), host.All, "", ""))
			if test.first == nil {
				one, _, err := h.Start(t.Context(), p, start)
				require.NoError(t, err)
				run = one.ID
			} else {
				require.NoError(t, test.first(h, run))
			}
			if test.later != "" {
				eventually(t, "its call waits", func() bool {
					r, err := h.Get(t.Context(), run)
					return err == nil && len(r.Holds) == 1
				})
				require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: fmt.Sprintf(test.later, run), ID: "1", State: "sent"}))
				mu.Lock()
				test.came = map[int]string{int(test.later[len(test.later)-1] - '0'): "sent"}
				mu.Unlock()
			}
			require.NoError(t, h.Resume(t.Context(), host.All, ""))
			for range 2 {
				assert.ErrorContains(t, <-told, test.why)
				eventually(t, "it stands still", func() bool { return statusOf(t, h, run) == host.Mismatch })
				r, err := h.Get(t.Context(), run)
				require.NoError(t, err)
				assert.Contains(t, r.Result.Error.Message, test.why)
				assert.Contains(t, r.Result.Error.Message, "cancel it, and start new runs for what is missing")
				require.NoError(t, h.Stop(t.Context()))
				o.Restored = false
				h = openHost(t, o)
				assert.Equal(t, host.Mismatch, statusOf(t, h, run))
				require.NoError(t, h.Release(t.Context(), run))
			}
			<-told
			eventually(t, "it stands still", func() bool { return statusOf(t, h, run) == host.Mismatch })
			require.NoError(t, h.Cancel(t.Context(), run, ""))
			assert.Equal(t, machine.Cancelled, statusOf(t, h, run))
		})
	}
}

// After a second restore, receipts from before the first one do not count for call numbers that
// the run gave between the two: they mean other calls.
func TestReceiptsSinceTheFirstOfTwoBackups(t *testing.T) {
	var h *local.Host
	var began atomic.Bool
	told := make(chan error, 1)
	o := local.Options{
		Journal: &journal.Memory{}, Restored: true,
		OnStuck: func(_ string, why error) { told <- why },
		Do: func(_ context.Context, c call.Call) call.Outcome {
			assert.Equal(t, "a", c.Input["to"])
			assert.NoError(t, h.Pause(t.Context(), host.All, "", ""))
			return accepted(c)
		},
		Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
			if began.Load() && call.NumberOf(key) == 2 { // of the second attempt for a
				return []call.Receipt{{ID: "1", State: "sent"}}, nil
			}
			return nil, nil
		}),
	}
	o.Backups = []local.Backup{{At: time.Now()}}
	h = openHost(t, o)
	started, _, err := h.Start(t.Context(), testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: a, action: test.send, with: {to: a}}\n  - {id: b, action: test.send, with: {to: b}}\n"), host.Start{Key: "order 7"})
	require.NoError(t, err)
	eventually(t, "b waits", func() bool {
		r, err := h.Get(t.Context(), started.ID)
		return err == nil && len(r.Holds) == 1 && len(r.Calls) == 1
	})
	require.NoError(t, h.Stop(t.Context()))

	began.Store(true)
	o.Backups = append(o.Backups, local.Backup{At: time.Now()})
	h = openHost(t, o)
	require.NoError(t, h.Resume(t.Context(), host.All, ""))
	require.NoError(t, h.Release(t.Context(), started.ID))
	assert.ErrorContains(t, <-told, "there are receipts of its call 2, which is not in the backup, and it is not certain")
}

// After two restores a run may have gone on in two ways, and a receipt may be of either.
func TestReceiptsSinceTwoBackups(t *testing.T) {
	told, now := make(chan error, 1), time.Now()
	h := openHost(t, local.Options{
		Backups: []local.Backup{{At: now.Add(-2 * time.Hour)}, {At: now.Add(-time.Hour)}},
		OnStuck: func(_ string, why error) { told <- why },
		Do:      func(_ context.Context, c call.Call) call.Outcome { t.Error("it sends"); return accepted(c) },
		Past: hosttest.PastByKey(func(key string) ([]call.Receipt, error) {
			if call.NumberOf(key) > 2 { // to a after the first one; the first attempt for a was refused after the second one
				return nil, nil
			}
			return []call.Receipt{{ID: key, State: "sent"}}, nil
		}),
	})
	_, _, err := h.Start(t.Context(), testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: a, action: test.send, with: {to: a}}\n  - {id: b, action: test.send, with: {to: b}}\n"), host.Start{Key: "order 7"})
	require.NoError(t, err)
	assert.ErrorContains(t, <-told, "there are receipts of its call 2, which is not in the backup, and it is not certain")
}

// The receipt of a call that a person had resent after the backup is not taken for the next call's.
func TestReceiptsOfACallThatWasResent(t *testing.T) {
	j, before := &journal.Memory{}, newFakeAPI()
	before.lose["a"], before.deny["b"] = true, 1
	h := openHost(t, local.Options{Journal: j, Do: before.do})
	run := startRun(t, h, testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: a, action: test.send, with: {to: a}, unknown_timeout: 1ms}\n  - {id: b, action: test.send, with: {to: b}}\n"), nil)
	require.Equal(t, machine.Failed, waitResult(t, h, run).Status)
	before.lose["a"] = false
	require.NoError(t, h.Retry(t.Context(), run, true))
	require.Equal(t, machine.Failed, waitResult(t, h, run).Status)
	require.NoError(t, h.Stop(t.Context()))
	require.Equal(t, map[string]int{"a": 2}, before.times)
	head, records, err := j.Load(t.Context(), run)
	require.NoError(t, err)

	told := make(chan error, 1)
	h = openHost(t, local.Options{
		Journal: journalOf(t, head, records[:1]), Restored: true, Past: hosttest.PastByKey(before.receipts), OnStuck: func(_ string, why error) { told <- why },
		Do: func(_ context.Context, c call.Call) call.Outcome { t.Error("it sends"); return accepted(c) },
	})
	require.NoError(t, h.Release(t.Context(), run))
	assert.ErrorContains(t, <-told, "there are receipts of its call 3, which is not in the backup, but none of call 2")
}
