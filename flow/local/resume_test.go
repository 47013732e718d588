package local_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
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

// flows are what crashes are tested on.
var flows = map[string]string{
	"a loop with retries": `
flow: f
steps:
  - id: each
    foreach: "${[1, 2, 3, 4, 5, 6, 7, 8]}"
    as: n
    concurrency: 3
    allow_failure: true
    steps:
      - {id: send, action: test.send, with: {to: "+${string(n)}"}, retry: {attempts: 3, delay: 1ms}}
`,
	"what may be repeated": `
flow: f
steps:
  - {id: get, action: test.get, with: {to: a}, retry: {attempts: 3, delay: 1ms}, allow_failure: true}
  - {id: own, action: test.send, idempotent: true, with: {to: b}, retry: {attempts: 3, delay: 1ms}, allow_failure: true}
  - {id: send, action: test.send, with: {to: c}, allow_failure: true}
`,
	"branches, and what always runs": `
flow: f
steps:
  - try:
      - parallel:
          a: [{id: one, action: test.send, with: {to: a}}, {wait: 1s}]
          b: [{id: two, action: test.send, with: {to: b}}, {id: three, action: test.get, with: {to: b}}]
    catch:
      - steps: [{id: caught, action: test.send, with: {to: c}, allow_failure: true}]
    finally:
      - {id: last, action: test.send, with: {to: d}, allow_failure: true}
on_failure:
  - {id: sorry, action: test.send, with: {to: e}}
`,
	"receipts and replies": `
flow: f
steps:
  - {id: send, action: test.send, with: {to: a}, await: {state: delivered, timeout: 1h}, allow_failure: true}
  - {id: again, action: test.send, with: {to: b}, on_unknown: resend, retry: {attempts: 3}, allow_failure: true}
  - id: reply
    wait_for: {event: test.reply, from: a, timeout: 1h}
    on_timeout: continue
`,
	"a loop of receipts": `
flow: f
timeout: 2h
steps:
  - id: each
    foreach: "${['a', 'b', 'c', 'd']}"
    as: to
    concurrency: 4
    allow_failure: true
    steps:
      - {id: send, action: test.send, timeout: 10s, with: {to: "${to}"}, await: {state: sent, timeout: 1m}}
      - wait: 5s
      - {id: more, action: test.send, with: {to: "${to}"}}
`,
}

// randomOutcome is an outcome that depends on the call's key and a seed.
func randomOutcome(c call.Call, seed int) call.Outcome {
	h := fnv.New32a()
	fmt.Fprint(h, c.Key, seed)
	switch h.Sum32() % 6 {
	case 0:
		return lost()
	case 1:
		return refused(true)
	case 2:
		return refused(false)
	}
	o := accepted(c)
	if c.Await != "" {
		o.Status = call.Pending
	}
	return o
}

func newVirtualClock() *host.Virtual {
	return host.NewVirtual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
}

// repeatable tells which calls of the flows may be made twice.
func repeatable(c call.Call) bool { return c.Idempotent || c.Action == "test.get" }

// Whatever the journal holds when a host dies, the next one repeats no call that was taken up,
// unless that is harmless, and executes the run to its end.
func TestResumeFromEveryPrefix(t *testing.T) {
	for name, source := range flows {
		t.Run(name, func(t *testing.T) {
			p := testCatalog{}.compile(t, source)
			prefixes := 0
			for seed := range 12 {
				head, records := executed(t, p, seed)
				for n := 1; n <= len(records); n++ {
					resumeFrom(t, p, head, records[:n], seed)
					prefixes++
				}
			}
			t.Logf("%d prefixes", prefixes)
		})
	}
}

// executed runs a plan to its end and returns its journal.
func executed(t *testing.T, p *plan.Plan, seed int) (journal.Run, []journal.Record) {
	t.Helper()
	j := &journal.Memory{}
	h := local.New(local.Options{Journal: j, Clock: newVirtualClock(), Receipts: true, Do: func(_ context.Context, c call.Call) call.Outcome { return randomOutcome(c, seed) }})
	_, err := h.Run(t.Context(), p, testStart())
	require.NoError(t, err)
	head, records, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	return head, records
}

func resumeFrom(t *testing.T, p *plan.Plan, head journal.Run, records []journal.Record, seed int) {
	t.Helper()
	taken, before := callsIn(t, records)
	j := journalOf(t, head, records)
	clock := host.NewVirtual(records[len(records)-1].At)
	h := local.New(local.Options{Journal: j, Clock: clock, Receipts: true, Do: func(_ context.Context, c call.Call) call.Outcome {
		if taken[c.Key] {
			assert.True(t, repeatable(c), "%s was taken up, and is made again", c.Key)
			assert.Empty(t, before[c.Key], "%s had an outcome, and is made again", c.Key)
		}
		return randomOutcome(c, seed)
	}})
	result, err := h.Resume(t.Context(), p, runID)
	require.NoError(t, err)
	require.NotEqual(t, machine.Running, result.Status)
	head, all, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	assert.Equal(t, string(result.Status), head.Status)
	_, after := callsIn(t, all)
	for k := range taken {
		require.NotEmpty(t, after[k], "%s was taken up, and nothing became of it", k)
	}
	again, err := h.Resume(t.Context(), p, runID)
	require.NoError(t, err)
	assert.Equal(t, result.Result, again.Result, "a run that has ended stays as it is")
}

// The same with a real clock and concurrent calls: records are stored in the order in which the
// machine applied them.
func TestResumeFromEveryPrefixOfARealRun(t *testing.T) {
	for _, name := range []string{"a loop with retries", "what may be repeated", "branches, and what always runs"} {
		p := testCatalog{}.compile(t, flows[name])
		for seed := range 4 {
			j := &journal.Memory{}
			h := local.New(local.Options{Journal: j, Do: func(_ context.Context, c call.Call) call.Outcome { return randomOutcome(c, seed) }})
			result, err := h.Run(t.Context(), p, testStart())
			require.NoError(t, err)
			head, records, err := j.Load(t.Context(), runID)
			require.NoError(t, err)
			again, err := local.New(local.Options{Journal: j}).Resume(t.Context(), p, runID)
			require.NoError(t, err)
			assert.Equal(t, result.Result, again.Result)
			assert.Equal(t, result.Steps, again.Steps, "told in another order than it was recorded")
			for n := 1; n <= len(records); n++ {
				resumeFrom(t, p, head, records[:n], seed)
			}
		}
	}
}

// Any write to the journal may fail, before or after it is stored. No call is made whose Taken is
// not stored, and resuming the run makes no call twice.
func TestAJournalThatFails(t *testing.T) {
	boom := errors.New("the disk is full")
	for name, source := range flows {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stored %t", name, stored), func(t *testing.T) {
				p := testCatalog{}.compile(t, source)
				for at := 0; ; at++ {
					var mu sync.Mutex
					made := map[string]int{}
					durable := map[string]bool{}
					do := func(_ context.Context, c call.Call) call.Outcome {
						mu.Lock()
						defer mu.Unlock()
						made[c.Key]++
						assert.True(t, durable[c.Key], "%s was made before it was stored", c.Key)
						return randomOutcome(c, 1)
					}
					note := func(records []journal.Record) {
						mu.Lock()
						defer mu.Unlock()
						for _, r := range records {
							if r.Kind == "taken" {
								durable[readCallRecord(t, r).Key] = true
							}
						}
					}
					fail := func(n int, _ string, sync bool, records []journal.Record) error {
						if n == at {
							return boom
						}
						return nil
					}
					j := &spyJournal{Journal: &journal.Memory{}}
					j.after = func(n int, op string, sync bool, records []journal.Record) error {
						if stored && n == at {
							return boom
						}
						for _, r := range records {
							assert.True(t, sync || r.Kind != "taken", "a call is taken up durably")
						}
						note(records)
						return nil
					}
					if !stored {
						j.before = fail
					}
					result, err := local.New(local.Options{Journal: j, Clock: newVirtualClock(), Receipts: true, Do: do}).Run(t.Context(), p, testStart())
					if err == nil {
						require.Positive(t, at)
						return // it never came to this write
					}
					require.ErrorIs(t, err, boom)
					if at > 0 {
						require.NotNil(t, result, "how far it came is told")
					}
					j.before, j.after = nil, func(_ int, _ string, _ bool, records []journal.Record) error { note(records); return nil }
					if _, records, err := j.Load(t.Context(), runID); err == nil {
						note(records)
						_, err := local.New(local.Options{Journal: j, Clock: newVirtualClock(), Receipts: true, Do: do}).Resume(t.Context(), p, runID)
						require.NoError(t, err)
					}
					for k, n := range made {
						if n > 1 {
							assert.Contains(t, name, "may be repeated", "%s was made %d times", k, n)
						}
					}
				}
			})
		}
	}
}

// The result tells the outcomes of calls even if they could not be stored.
func TestAnOutcomeThatCannotBeStoredIsReported(t *testing.T) {
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n")
	j := &spyJournal{Journal: &journal.Memory{}}
	j.before = func(_ int, op string, _ bool, records []journal.Record) error {
		if len(records) > 0 && records[0].Kind == "answered" {
			return errors.New("the disk is full")
		}
		return nil
	}
	var steps []string
	h := local.New(local.Options{Journal: j, Do: func(_ context.Context, c call.Call) call.Outcome { return accepted(c) },
		OnStep: func(_ string, s *machine.Step, _ []any) { steps = append(steps, s.ID) }})
	result, err := h.Run(t.Context(), p, testStart())
	require.EqualError(t, err, "store what happened: the disk is full")
	assert.Equal(t, "id-"+callKey(1), result.Steps[0].Outputs["id"])
	assert.Equal(t, []string{"send"}, steps)
	again, err := local.New(local.Options{Journal: j}).Resume(t.Context(), p, runID)
	require.Error(t, err, "the disk is still full")
	assert.Equal(t, machine.Running, again.Status)
	j.before = nil
	again, err = local.New(local.Options{Journal: j}).Resume(t.Context(), p, runID)
	require.NoError(t, err)
	assert.Equal(t, "outcome_unknown", again.Error.Code)
	assert.Equal(t, "unknown", again.Steps[0].Outputs["delivery"])
}

func TestWhatIsNotResumed(t *testing.T) {
	ctx := t.Context()
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n")
	other := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: b}}\n")
	head, records := executed(t, p, 0)
	resume := func(p *plan.Plan, head journal.Run, records []journal.Record) error {
		_, err := local.New(local.Options{Journal: journalOf(t, head, records), Clock: newVirtualClock(), Do: func(context.Context, call.Call) call.Outcome {
			t.Error("nothing may be called")
			return lost()
		}}).Resume(ctx, p, runID)
		return err
	}
	var mismatch *machine.MismatchError
	assert.ErrorAs(t, resume(other, head, records), &mismatch)
	assert.ErrorContains(t, resume(other, head, records), "the flow has changed since the run started")

	newer := head
	newer.Version++
	assert.ErrorContains(t, resume(p, newer, records), "version 2 of the machine started it, this is version 1")

	with := func(kind, body string) []journal.Record {
		return []journal.Record{records[0], {At: records[0].At, Kind: kind, Body: []byte(body)}}
	}
	assert.ErrorContains(t, resume(p, head, with("postponed", "{}")), `it holds "postponed", which this version does not know`)
	assert.ErrorContains(t, resume(p, head, with("taken", `{"key": 7}`)), "read a record of run r")
	assert.ErrorContains(t, resume(p, head, with("taken", `{"key":"f1.r.1","print":"0"}`)), "its call f1.r.1 of step send is not the one that the flow makes")
	assert.ErrorContains(t, resume(p, head, with("answered", `{"key":"f1.r.1","outcome":{"status":"succeeded"}}`)), "not under way")
	assert.ErrorContains(t, resume(p, head, []journal.Record{{Kind: "taken", Body: []byte(`{}`)}}), `its journal starts with "taken"`)

	_, err := local.New(local.Options{Journal: &journal.Memory{}}).Resume(ctx, p, "nobody")
	var missing *journal.NotFoundError
	assert.ErrorAs(t, err, &missing)
}

func TestARunIsExecutedOnce(t *testing.T) {
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n")
	made, going := make(chan bool), make(chan bool)
	h := local.New(local.Options{Journal: &journal.Memory{}, Do: func(_ context.Context, c call.Call) call.Outcome {
		made <- true
		<-going
		return accepted(c)
	}})
	ended := make(chan error)
	go func() {
		_, err := h.Run(context.Background(), p, testStart())
		ended <- err
	}()
	<-made
	_, err := h.Resume(t.Context(), p, runID)
	assert.ErrorIs(t, err, local.ErrUnderWay)
	_, err = h.Run(t.Context(), p, testStart())
	assert.ErrorIs(t, err, local.ErrUnderWay)
	close(going)
	require.NoError(t, <-ended)
	_, err = h.Run(t.Context(), p, testStart())
	var exists *journal.ExistsError
	assert.ErrorAs(t, err, &exists)
	again, err := h.Resume(t.Context(), p, runID)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, again.Status)
}
