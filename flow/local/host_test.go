package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const one = "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}}\n"

func TestAFaultInDoIsAnUnknownOutcome(t *testing.T) {
	for name, do := range map[string]call.Do{
		"a panic":          func(context.Context, call.Call) call.Outcome { panic("out of luck") },
		"a nil panic":      func(context.Context, call.Call) call.Outcome { panic(nil) },
		"the goroutine":    func(context.Context, call.Call) call.Outcome { runtime.Goexit(); return lost() },
		"no outcome":       func(context.Context, call.Call) call.Outcome { return call.Outcome{} },
		"an unknown state": func(context.Context, call.Call) call.Outcome { return call.Outcome{Status: "fine"} },
	} {
		for _, clock := range []host.Clock{host.System{}, newVirtualClock()} {
			t.Run(fmt.Sprintf("%s, %T", name, clock), func(t *testing.T) {
				var panicked []string
				h := local.New(local.Options{Journal: &journal.Memory{}, Clock: clock, Do: do,
					Panicked: func(c call.Call, _ any, stack []byte) { panicked = append(panicked, c.Key); assert.NotEmpty(t, stack) }})
				result, err := h.Run(t.Context(), testCatalog{}.compile(t, one), testStart())
				require.NoError(t, err)
				assert.Equal(t, machine.Failed, result.Status)
				assert.Equal(t, "outcome_unknown", result.Error.Code)
				assert.NotContains(t, result.Error.Message, "luck")
				if name == "a panic" {
					assert.Equal(t, []string{callKey(1)}, panicked)
				}
			})
		}
	}
}

func TestAFaultInACallThatMayBeRepeated(t *testing.T) {
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: get, action: test.get, with: {to: a}, retry: {attempts: 2}}\n")
	h := local.New(local.Options{Journal: &journal.Memory{}, Clock: newVirtualClock(), Do: func(_ context.Context, c call.Call) call.Outcome {
		if c.Attempt == 1 {
			panic("out of luck")
		}
		return accepted(c)
	}})
	result, err := h.Run(t.Context(), p, testStart())
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, result.Status)
}

func TestAFaultInOnStepDoesNoHarm(t *testing.T) {
	p := testCatalog{}.compile(t, one+"  - {id: more, action: test.send, with: {to: b}}\n")
	j := &journal.Memory{}
	made := 0
	h := local.New(local.Options{Journal: j, Clock: newVirtualClock(), Do: func(_ context.Context, c call.Call) call.Outcome { made++; return accepted(c) },
		OnStep: func(_ string, s *machine.Step, _ []any) { panic("out of ink") }})
	result, err := h.Run(t.Context(), p, testStart())
	assert.EqualError(t, err, "the run r continued, but reporting its step more failed: out of ink")
	assert.Equal(t, machine.Succeeded, result.Status)
	assert.Equal(t, 2, made)
	head, _, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	assert.Equal(t, "succeeded", head.Status)
}

// When the context of Run ends, calls in flight finish, no other is started, and `finally` steps
// still run.
func TestCancel(t *testing.T) {
	p := testCatalog{}.compile(t, `
flow: f
steps:
  - try:
      - parallel:
          a: [{id: one, action: test.send, with: {to: a}}, {id: never, action: test.send, with: {to: x}}]
          b: [{id: two, action: test.send, with: {to: b}}]
          c: [{wait: 1h}]
    finally:
      - {id: last, action: test.get, with: {to: c}}
`)
	ctx, cancel := context.WithCancel(t.Context())
	under, cancelled := make(chan string), make(chan bool)
	go func() {
		<-under
		<-under
		cancel()
	}()
	j := &spyJournal{Journal: &journal.Memory{}}
	j.after = func(_ int, _ string, _ bool, records []journal.Record) error {
		if slices.ContainsFunc(records, func(r journal.Record) bool { return r.Kind == "cancel" }) {
			close(cancelled)
		}
		return nil
	}
	h := local.New(local.Options{Journal: j, Do: func(ctx context.Context, c call.Call) call.Outcome {
		switch c.Step {
		case "one": // it is not made after all
			under <- c.Step
			<-cancelled
			return call.Outcome{Status: call.Cancelled}
		case "two": // it comes through
			under <- c.Step
			<-cancelled
			return accepted(c)
		}
		assert.NoError(t, ctx.Err())
		return accepted(c)
	}})
	result, err := h.Run(ctx, p, testStart())
	require.NoError(t, err)
	assert.Equal(t, machine.Cancelled, result.Status)
	status := map[string]machine.Status{}
	for _, s := range result.Steps {
		status[s.ID] = s.Status
	}
	assert.Equal(t, machine.Succeeded, status["two"])
	assert.Equal(t, machine.Succeeded, status["last"])
	assert.Equal(t, machine.Cancelled, status["one"])
	assert.NotContains(t, status, "never")
	_, records, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	taken, answered := callsIn(t, records)
	assert.Len(t, taken, 3)
	assert.Len(t, answered, 3)
}

// A run that is never idle can be cancelled all the same.
func TestCancelOfABusyRun(t *testing.T) {
	p := testCatalog{}.compile(t, `
flow: f
steps:
  - foreach: "${lists.range(10000)}"
    as: n
    steps: [{id: send, action: test.send, with: {to: a}}]
`)
	ctx, cancel := context.WithCancel(t.Context())
	made := 0
	h := local.New(local.Options{Journal: &journal.Memory{}, Clock: newVirtualClock(), Do: func(_ context.Context, c call.Call) call.Outcome {
		if made++; made == 10 {
			cancel()
		}
		return accepted(c)
	}})
	result, err := h.Run(ctx, p, testStart())
	require.NoError(t, err)
	assert.Equal(t, machine.Cancelled, result.Status)
	assert.LessOrEqual(t, made, 11)
}

func TestHardStop(t *testing.T) {
	hard, stop := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(t.Context())
	h := local.New(local.Options{Journal: &journal.Memory{}, Hard: hard, Do: func(ctx context.Context, c call.Call) call.Outcome {
		cancel()
		stop()
		<-ctx.Done()
		return lost()
	}})
	result, err := h.Run(ctx, testCatalog{}.compile(t, one), testStart())
	require.NoError(t, err)
	assert.Contains(t, []machine.Status{machine.Cancelled, machine.Failed}, result.Status, "by what came first: the interrupt, or the outcome of what was cut off")
	assert.Equal(t, "outcome_unknown", result.Steps[0].Error.Code, "what was cut off is listed")
}

// A status webhook may arrive before the answer, and before the run is resumed.
func TestReceiptsThatComeEarly(t *testing.T) {
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, await: {state: delivered, timeout: 1m}}\noutputs:\n  delivery: ${steps.send.outputs.delivery}\n")
	delivered := call.Receipt{Key: callKey(1), ID: "1", State: "delivered"}
	for name, outcome := range map[string]call.Status{"accepted": call.Pending, "lost": call.Unknown} {
		t.Run("before the answer, which is "+name, func(t *testing.T) {
			var h *local.Foreground
			h = local.New(local.Options{Journal: &journal.Memory{}, Receipts: true, Do: func(_ context.Context, c call.Call) call.Outcome {
				h.Receive(delivered)
				h.Receive(call.Receipt{Key: "f1.other.1", ID: "2", State: "failed"})
				h.Receive(call.Receipt{Key: "nonsense", ID: "3", State: "failed"})
				return call.Outcome{Status: outcome}
			}})
			result, err := h.Run(t.Context(), p, testStart())
			require.NoError(t, err)
			assert.Equal(t, machine.Succeeded, result.Status)
			assert.Equal(t, "delivered", result.Outputs["delivery"])
		})
	}
	t.Run("before the run is resumed", func(t *testing.T) {
		j := &journal.Memory{}
		crash := func(p local.Point, _ string, _ int) bool { return p == local.Sent }
		do := func(_ context.Context, c call.Call) call.Outcome { return call.Outcome{Status: call.Pending} }
		_, err := local.New(local.Options{Journal: j, Clock: newVirtualClock(), Receipts: true, Do: do, Crash: crash}).Run(t.Context(), p, testStart())
		require.ErrorIs(t, err, local.ErrCrashed)
		h := local.New(local.Options{Journal: j, Receipts: true})
		h.Receive(delivered)
		result, err := h.Resume(t.Context(), p, runID)
		require.NoError(t, err)
		assert.Equal(t, machine.Succeeded, result.Status)
	})
}

// Events and receipts arrive from any goroutine while runs start and end, and each reaches the
// run that it is for.
func TestRunsDoNotMix(t *testing.T) {
	p := testCatalog{}.compile(t, `
flow: f
inputs: {me: {type: string}}
steps:
  - {id: send, action: test.send, with: {to: "${inputs.me}"}, await: {state: sent, timeout: 1m}}
  - id: reply
    wait_for: {event: test.reply, from: "${inputs.me}", timeout: 1m}
  - {id: thanks, action: test.send, with: {to: "${inputs.me}", text: "${steps.reply.outputs.text}"}}
outputs: {id: "${steps.thanks.outputs.?id.orValue('')}", text: "${steps.reply.outputs.text}"}
`)
	var h *local.Foreground
	var beside sync.WaitGroup
	h = local.New(local.Options{Journal: &journal.Memory{}, Receipts: true, Do: func(_ context.Context, c call.Call) call.Outcome {
		if c.Await == "" {
			return accepted(c)
		}
		beside.Go(func() {
			h.Receive(call.Receipt{Key: c.Key, ID: c.Key, State: "sent"})
			for n := range 3 {
				_ = h.Deliver(t.Context(), host.Event{ID: fmt.Sprint(c.Run, n), Name: "test.reply", Subjects: []string{c.Input["to"].(string)}, Data: map[string]any{"text": "I am " + c.Run}})
			}
		})
		return call.Outcome{Status: call.Pending}
	}})
	var runs sync.WaitGroup
	for n := range 60 {
		runs.Go(func() {
			me := fmt.Sprintf("run%d", n)
			result, err := h.Run(t.Context(), p, local.Start{ID: me, Inputs: map[string]any{"me": me}})
			if assert.NoError(t, err) && assert.Equal(t, machine.Succeeded, result.Status, "%v", result.Error) {
				assert.Equal(t, map[string]any{"text": "I am " + me, "id": "id-f1." + me + ".2"}, result.Outputs)
			}
		})
	}
	runs.Wait()
	beside.Wait()
}

func TestSealedRecords(t *testing.T) {
	for _, key := range []byte{1, '"', '{'} { // what is sealed begins with it
		t.Run(fmt.Sprintf("%q", key), func(t *testing.T) { sealedRecords(t, key) })
	}
}

func sealedRecords(t *testing.T, first byte) {
	p := testCatalog{}.compile(t, "flow: f\ninputs: {who: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.who}\"}}\n")
	seal := func(key byte) (seal, open func(plain, context []byte) ([]byte, error)) {
		code := func(text, context []byte) []byte {
			out := bytes.Clone(text)
			for i := range out {
				out[i] ^= key + byte(len(context))
			}
			return out
		}
		mark := []byte{key, 'k', 'e', 'y'}
		return func(plain, context []byte) ([]byte, error) {
				return append(bytes.Clone(mark), code(plain, context)...), nil
			},
			func(sealed, context []byte) ([]byte, error) {
				rest, ok := bytes.CutPrefix(sealed, mark)
				if !ok {
					return nil, errors.New("it was sealed with another key")
				}
				return code(rest, context), nil
			}
	}
	j := &journal.Memory{}
	options := local.Options{Journal: j, Clock: newVirtualClock(), Do: func(_ context.Context, c call.Call) call.Outcome { return accepted(c) }}
	options.Seal, options.Open = seal(first)
	result, err := local.New(options).Run(t.Context(), p, local.Start{ID: runID, Inputs: map[string]any{"who": "somebody"}})
	require.NoError(t, err)
	head, records, err := j.Load(t.Context(), runID)
	require.NoError(t, err)
	for _, r := range records {
		assert.NotContains(t, string(r.Body), "somebody")
		assert.NotContains(t, string(r.Body), "key\"")
	}
	again, err := local.New(options).Resume(t.Context(), p, runID)
	require.NoError(t, err)
	assert.Equal(t, result.Result, again.Result)

	texts := slices.Clone(records) // as they were stored once
	for i, r := range texts {
		if r.Body[0] != '"' {
			texts[i].Body, err = json.Marshal([]byte(r.Body))
			require.NoError(t, err)
		}
	}
	old := options
	old.Journal = journalOf(t, head, texts)
	again, err = local.New(old).Resume(t.Context(), p, runID)
	require.NoError(t, err)
	assert.Equal(t, result.Result, again.Result)

	other := options
	other.Seal, other.Open = seal(2)
	_, err = local.New(other).Resume(t.Context(), p, runID)
	assert.EqualError(t, err, "open a record of run r: it was sealed with another key")
	none := options
	none.Seal, none.Open = nil, nil
	_, err = local.New(none).Resume(t.Context(), p, runID)
	assert.EqualError(t, err, "open a record of run r: it is sealed, and this host has no key")
	_, plain := executed(t, p, 2)
	options.Journal = journalOf(t, head, plain)
	_, err = local.New(options).Resume(t.Context(), p, runID)
	assert.EqualError(t, err, "open a record of run r: it is not sealed, and this host accepts only sealed ones")
	moved := slices.Clone(records)
	moved[1].Kind = "answered"
	options.Journal = journalOf(t, head, moved)
	_, err = local.New(options).Resume(t.Context(), p, runID)
	assert.ErrorContains(t, err, "read a record of run r", "a record is sealed for its place")
}

// While the vault is unreachable, calls are not retried in a tight loop.
func TestHeldCallsAreNotTriedInALoop(t *testing.T) {
	p := testCatalog{}.compile(t, "flow: f\nsteps:\n  - {id: send, action: test.send, with: {to: a}, retry: {attempts: 10, delay: 1ms}}\n")
	clock := newVirtualClock()
	began := clock.Now()
	h := local.New(local.Options{Journal: &journal.Memory{}, Clock: clock, Do: func(context.Context, call.Call) call.Outcome {
		o := refused(true)
		o.Held = true
		return o
	}})
	result, err := h.Run(t.Context(), p, testStart())
	require.NoError(t, err)
	assert.Equal(t, machine.Failed, result.Status)
	assert.GreaterOrEqual(t, clock.Now().Sub(began), 9*time.Second)
}
