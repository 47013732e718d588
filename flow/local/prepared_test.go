package local_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const prepares = "flow: f\nsteps:\n  - {id: send, action: test.prepared, with: {to: a}}\n"

// A call that begins itself is durably recorded as taken up at that moment. If it does not come to
// that it is recorded together with its outcome.
func TestPrepared(t *testing.T) {
	for _, begins := range []bool{true, false} {
		var happened []string
		j := &spyJournal{Journal: &journal.Memory{}}
		j.after = func(_ int, op string, durable bool, records []journal.Record) error {
			for _, r := range records {
				happened = append(happened, r.Kind)
			}
			return nil
		}
		h := openHost(t, local.Options{Journal: j, Do: func(ctx context.Context, c call.Call) call.Outcome {
			happened = append(happened, "made")
			if !begins {
				return refused(false)
			}
			assert.NoError(t, c.Begin(ctx))
			assert.NoError(t, c.Begin(ctx), "it may say so twice")
			happened = append(happened, "begun")
			return accepted(c)
		}})
		waitResult(t, h, startRun(t, h, testCatalog{}.compile(t, prepares), nil))
		if begins {
			assert.Equal(t, []string{"start", "made", "taken", "begun", "answered"}, happened)
		} else {
			assert.Equal(t, []string{"start", "made", "taken", "answered"}, happened)
		}
	}
}

// Begin returns an error if the call is not wanted any more: the run was cancelled, the journal
// fails, or a hard stop. It never blocks for ever.
func TestPreparedInVain(t *testing.T) {
	full := errors.New("the disk is full")
	for _, tt := range []struct {
		name string
		why  func(h *local.Host, run string, fails *atomic.Bool, cut func())
		runs machine.Status // "": the host is not there any more
	}{
		{"the run is cancelled", func(h *local.Host, run string, _ *atomic.Bool, _ func()) {
			require.NoError(t, h.Cancel(t.Context(), run, "enough"))
		}, machine.Cancelled},
		{"the journal fails", func(_ *local.Host, _ string, fails *atomic.Bool, _ func()) { fails.Store(true) }, ""},
		{"a hard stop", func(_ *local.Host, _ string, _ *atomic.Bool, cut func()) { cut() }, machine.Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fails atomic.Bool
			hard, cut := context.WithCancel(context.Background())
			defer cut()
			j := &spyJournal{Journal: &journal.Memory{}}
			j.before = func(int, string, bool, []journal.Record) error {
				if fails.Load() {
					return full
				}
				return nil
			}
			prepared, goOn, told := make(chan bool), make(chan bool), make(chan error, 1)
			h := openHost(t, local.Options{Journal: j, Hard: hard, Do: func(_ context.Context, c call.Call) call.Outcome {
				prepared <- true
				<-goOn
				err := c.Begin(context.Background()) // as an action that is not cut off
				told <- err
				return refused(false)
			}})
			run := startRun(t, h, testCatalog{}.compile(t, prepares), nil)
			<-prepared
			tt.why(h, run, &fails, cut)
			close(goOn)
			assert.Error(t, <-told)
			if tt.runs == "" {
				assert.ErrorIs(t, h.Stop(t.Context()), full)
				return
			}
			r := waitResult(t, h, run)
			assert.Equal(t, tt.runs, r.Status)
			report, err := h.Get(t.Context(), run)
			require.NoError(t, err)
			assert.Zero(t, report.Run.Unknown)
			if tt.runs == machine.Cancelled {
				assert.Empty(t, report.Calls)
			}
		})
	}
}

// A run that is stuck does not wait for its calls that have not begun, nor they for it.
func TestPreparedOfARunThatIsStuck(t *testing.T) {
	prepared := make(chan bool)
	var told atomic.Value
	h := openHost(t, local.Options{
		Do: func(ctx context.Context, c call.Call) call.Outcome {
			if c.Step == "two" {
				prepared <- true
				<-ctx.Done()
				told.Store(c.Begin(context.Background()) != nil)
				return refused(false)
			}
			<-prepared
			return accepted(c)
		},
	})
	run := startRun(t, h, panicsAfterOne(t), nil)
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, run) == host.Mismatch })
	assert.Equal(t, true, told.Load())
}

// panicsAfterOne is a flow that panics after its step one, beside a step two that begins itself.
func panicsAfterOne(t *testing.T) *plan.Plan {
	return testCatalog{limits: func(_ string, in map[string]any) []call.Limit {
		if in["to"] == "break" {
			panic("out of luck")
		}
		return nil
	}}.compile(t, `
flow: f
steps:
  - parallel:
      a: [{id: one, action: test.send, with: {to: a}}, {id: three, action: test.send, with: {to: "${steps.one.outputs.id == '' ? 'fine' : 'break'}"}}]
      b: [{id: two, action: test.prepared, with: {to: b}}]
`)
}

// A call that has begun, and begins again with other credentials after its run was stuck, may go
// on.
func TestPreparedAgainOfARunThatIsStuck(t *testing.T) {
	begun, stuck := make(chan bool), make(chan bool)
	told := make(chan error, 2)
	h := openHost(t, local.Options{
		Do: func(ctx context.Context, c call.Call) call.Outcome {
			if c.Step == "one" {
				<-begun
				return accepted(c)
			}
			assert.NoError(t, c.Begin(ctx))
			close(begun)
			<-stuck
			patient, end := context.WithTimeout(context.Background(), 10*time.Second)
			defer end()
			for range cap(told) { // one may be answered as the run is given up: then the next one comes after that
				told <- c.Begin(patient)
			}
			return accepted(c)
		},
		Panicked: func(call.Call, any, []byte) { close(stuck) },
	})
	run := startRun(t, h, panicsAfterOne(t), nil)
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, run) == host.Mismatch })
	for range cap(told) {
		assert.NoError(t, <-told)
	}
}

// An outcome is stored together with the Taken event of its call, even if that makes the run
// stuck: once released, it goes on from there.
func TestPreparedBeforeARunIsStuck(t *testing.T) {
	broken := panickingCatalog{testCatalog{}, new(atomic.Bool)}
	broken.breaks.Store(true)
	made := map[string]int{}
	h := openHost(t, local.Options{
		Do: func(_ context.Context, c call.Call) call.Outcome {
			made[c.Step]++
			if c.Step == "one" {
				return refused(false)
			}
			return accepted(c)
		},
		Restore: func(string, map[string]string) (*plan.Plan, error) { return broken.compile(t), nil },
	})
	run := startRun(t, h, broken.compile(t), nil)
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, run) == host.Mismatch })
	broken.breaks.Store(false)
	require.NoError(t, h.Release(t.Context(), run))
	assert.Equal(t, machine.Succeeded, waitResult(t, h, run).Status)
	assert.Equal(t, map[string]int{"one": 1, "two": 1}, made)
}

// A call whose Taken event cannot be encoded has not begun: its run is stuck, can be read, and
// makes the call when it is released.
func TestPreparedAndNotRecorded(t *testing.T) {
	var breaks atomic.Bool
	breaks.Store(true)
	var begun, made atomic.Int32
	keep := func(plain, place []byte) ([]byte, error) {
		if breaks.Load() && bytes.HasSuffix(place, []byte(" taken")) {
			return nil, errors.New("there is no key")
		}
		return append([]byte("sealed "), plain...), nil
	}
	h := openHost(t, local.Options{
		Seal: keep, Open: func(sealed, _ []byte) ([]byte, error) { return sealed[len("sealed "):], nil },
		Do: func(ctx context.Context, c call.Call) call.Outcome {
			made.Add(1)
			if c.Begin(ctx) != nil {
				return refused(false)
			}
			begun.Add(1)
			return accepted(c)
		},
	})
	run := startRun(t, h, testCatalog{}.compile(t, prepares), nil)
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, run) == host.Mismatch })
	breaks.Store(false)
	require.NoError(t, h.Release(t.Context(), run))
	eventually(t, "it ends", func() bool { return statusOf(t, h, run) == machine.Succeeded })
	assert.EqualValues(t, 1, begun.Load())
	assert.EqualValues(t, 2, made.Load())
}

// A panickingCatalog panics when it is asked whom a call writes to.
type panickingCatalog struct {
	testCatalog
	breaks *atomic.Bool
}

func (b panickingCatalog) Action(name string) *call.Signature {
	sig := b.testCatalog.Action(name)
	if name == "test.send" {
		sig.Recipient = func(map[string]any) string {
			if b.breaks.Load() {
				panic("out of luck")
			}
			return ""
		}
	}
	return sig
}

func (b panickingCatalog) compile(t testing.TB) *plan.Plan {
	f, found := flow.Parse("f.flow.yaml", []byte("flow: f\nsteps:\n  - {id: one, action: test.prepared, with: {to: a}, allow_failure: true}\n  - {id: two, action: test.send, with: {to: b}}\n"))
	require.False(t, found.HasErrors())
	p, found := plan.Compile(f, plan.Library{Catalog: b})
	require.False(t, found.HasErrors())
	return p
}
