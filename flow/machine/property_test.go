package machine_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	worlds = flag.Int("worlds", 150, "how many random flows to run")
	seed   = flag.Int64("seed", 1, "of the first random flow")
)

// TestRandomWorlds runs random flows on random hosts, where everything that is legal may
// happen at any time, and then lets them end. After every event it checks the invariants; at
// the end the run is resumed from every prefix of its journal.
func TestRandomWorlds(t *testing.T) {
	for n := range int64(*worlds) {
		t.Run(fmt.Sprintf("seed=%d", *seed+n), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewSource(*seed + n))
			flows := (&generator{Rand: r}).flows()
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(strings.Join(flows, "\n"))
				}
			})
			p := compile(t, flows...)
			start := newStart(p, nil)
			start.Receipts = r.Intn(4) > 0
			w := newRandomHost(newFakeHost(t, p, start), r)
			for range 40 {
				w.step()
			}
			w.settle()
			for range r.Intn(4) {
				w.retry()
			}
			w.checkResume()
		})
	}
}

// step makes one random thing happen.
func (h *randomHost) step() {
	h.now = h.now.Add(time.Duration(h.Intn(1500)) * time.Millisecond)
	held, underWay := h.fakeHost.calls(false), h.fakeHost.calls(true)
	switch h.Intn(9) {
	case 0, 1, 2:
		if len(held) > 0 {
			h.takeUp(held[h.Intn(len(held))])
			return
		}
		fallthrough
	case 3, 4:
		if len(underWay) > 0 {
			c := underWay[h.Intn(len(underWay))]
			h.answer(c, h.outcome())
		}
	case 5:
		h.receipt()
	case 6:
		if s, ok := h.due(); ok && h.Intn(2) == 0 {
			h.now = maxTime(h.now, s.Until)
			h.applyChecked(machine.Fired{At: h.now, Timer: s.Timer})
		} else if ok { // one that may be over
			h.applyChecked(machine.Fired{At: maxTime(h.now, s.Until), Timer: 1 + h.Intn(s.Timer)})
		}
	case 7:
		for _, a := range wants[machine.Await](h.fakeHost) {
			data := map[string]any{"path": "/x", "body": []any{1.0, 2.5, "x"}}
			if a.Event == "test.message" {
				data = map[string]any{"from": a.Subject, "text": fmt.Sprint(h.Intn(5)), "raw": map[string]any{"n": 3.0}}
			}
			h.applyChecked(machine.Arrived{At: h.now, Await: a.ID, ID: fmt.Sprint("e", h.Intn(20)), Data: data})
		}
	case 8:
		if h.Intn(12) == 0 {
			h.cancel()
		}
		if unknown := h.m.Unknown(); len(unknown) > 0 && h.Intn(3) == 0 {
			h.settleOne(unknown[h.Intn(len(unknown))])
		}
	}
}

// settleOne settles an unknown call, as a person would.
func (h *randomHost) settleOne(key string) {
	path := h.callByKey[key].step
	e, err := h.m.Settlement(path, h.Intn(2) == 0, []string{"", "m7"}[h.Intn(2)], h.now)
	require.NoError(h.t, err)
	settled := e.(machine.Settled)
	require.Equal(h.t, path, h.callByKey[settled.Key].step)
	h.applyChecked(settled)
}

// retry makes the run that has ended go on, after some receipts and settlements.
func (h *randomHost) retry() {
	for range h.Intn(4) {
		if h.Intn(2) == 0 {
			h.receipt()
		} else if unknown := h.m.Unknown(); len(unknown) > 0 {
			h.settleOne(unknown[h.Intn(len(unknown))])
		}
	}
	h.now = h.now.Add(time.Duration(h.Intn(90)) * time.Second)
	e := machine.Retried{At: h.now, Resend: h.Intn(2) == 0}
	err := h.m.Retryable(e.Resend)
	if h.m.Result().Status == machine.Succeeded {
		require.Error(h.t, err)
		require.Empty(h.t, err.(*machine.RetryError).Unknown)
		return
	}
	if err != nil {
		require.False(h.t, e.Resend)
		for _, path := range err.(*machine.RetryError).Unknown {
			require.True(h.t, slices.ContainsFunc(h.callsOf[path], func(c *trackedCall) bool { return c.effect == "unknown" }), path)
		}
		e.Resend = true
		require.NoError(h.t, h.m.Retryable(true))
	}
	h.applyChecked(e)
	for range 20 {
		h.step()
	}
	h.settle()
}

func (h *randomHost) receipt() {
	if len(h.asked) == 0 {
		return
	}
	// Also for calls that are over, and for those that were never made.
	key := fmt.Sprintf("f1.run.%d", 1+h.Intn(len(h.asked)+1))
	state := []string{"sent", "delivered", "read", "failed", "warning"}[h.Intn(5)]
	h.applyChecked(machine.Received{At: h.now, Receipt: call.Receipt{
		Key: key, ID: fmt.Sprint(state, h.Intn(6)), State: state, Data: map[string]any{"n": 1.0},
	}})
}

func (h *randomHost) cancel() {
	// What has not been handed out is not started either, so nothing was in between.
	h.applyChecked(machine.CancelRequested{At: h.now, Reason: "enough"})
}

func (h *randomHost) outcome() call.Outcome {
	output := map[string]any{
		"status_code": 200 + h.Intn(2)*200, "success": true, "took": 1500 * time.Millisecond, "weight": 2.0,
		"at": time.Date(2026, 5, 1, 12, 0, 0, 7, time.FixedZone("", 7200)),
		"body": map[string]any{
			"whole": 3.0, "bytes": "a\xff\xfeb", "bad\xff": 1, "half": 0.5, "big": 1e18, "bigger": 1e21, "int": 7, "none": nil, "minus": math.Copysign(0, -1),
			"at": time.Date(2026, 5, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), "list": []any{1.0, int32(2)},
		},
	}
	if h.Intn(4) == 0 {
		output = nil
	}
	err := &call.Error{Code: fmt.Sprint(100 * h.Intn(3)), Message: "no", Details: map[string]any{"subcode": 2.0, "n": 3}}
	switch h.Intn(10) {
	case 0:
		return call.Outcome{Status: call.Failed, Error: err, Output: output}
	case 1, 2:
		return call.Outcome{Status: call.Failed, Error: err, Retryable: true, Output: output}
	case 3:
		return call.Outcome{Status: call.Failed, Retryable: true, Backoff: "pair", After: time.Second}
	case 4, 5:
		return call.Outcome{Status: call.Unknown, Error: err}
	case 6:
		return call.Outcome{Status: call.Cancelled, Held: h.Intn(2) == 0}
	case 7:
		return call.Outcome{Status: call.Pending, Output: output}
	}
	return call.Outcome{Status: call.Succeeded, Output: output}
}

// settle lets the run end: calls are made and answered, time passes, and what waits
// for ever is cancelled.
func (h *randomHost) settle() {
	for range 5000 {
		if h.m.Result() != nil {
			return
		}
		if held := h.fakeHost.calls(false); len(held) > 0 {
			h.takeUp(held[h.Intn(len(held))])
		} else if underWay := h.fakeHost.calls(true); len(underWay) > 0 {
			h.answer(underWay[h.Intn(len(underWay))], h.outcome())
		} else if s, ok := h.due(); ok {
			h.now = maxTime(h.now, s.Until)
			h.applyChecked(machine.Fired{At: h.now, Timer: s.Timer})
		} else {
			require.False(h.t, h.cancelled, "a cancelled run waits for nothing that may never come")
			h.cancel()
		}
	}
	require.Fail(h.t, "the run does not end")
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TestAnyOrder: an answer and the receipts for it may come in any order.
func TestAnyOrder(t *testing.T) {
	p := compile(t, `
flow: awaits
steps:
  - {id: notify, action: test.send, with: {to: "+331"}, await: {state: delivered, timeout: 1h}}
outputs:
  delivery: ${steps.notify.outputs.?delivery}
`)
	events := []string{"answer", "sent", "delivered", "delivered", "warning"}
	for _, status := range []call.Status{call.Pending, call.Unknown} {
		permute(events, func(order []string) {
			w := newFakeHost(t, p, newStart(p, nil))
			c := w.calls(false)[0]
			w.must(machine.Taken{At: w.now, Key: c.Key, Fingerprint: c.Fingerprint})
			for i, what := range order {
				if what == "answer" {
					w.must(machine.Answered{At: w.now, Key: c.Key, Outcome: call.Outcome{Status: status}})
					continue
				}
				w.must(machine.Received{At: w.now, Receipt: call.Receipt{Key: c.Key, ID: fmt.Sprint(what, i%2), State: what}})
			}
			require.NotNil(t, w.m.Result(), order)
			assert.Equal(t, machine.Succeeded, w.m.Result().Status, "%s %v", status, order)
			assert.Equal(t, map[string]any{"delivery": "delivered"}, w.m.Result().Outputs, "%s %v", status, order)
			w.checkResume()
		})
	}
}

func permute(list []string, f func([]string)) {
	var walk func(int)
	list = slices.Clone(list)
	walk = func(i int) {
		if i == len(list) {
			f(list)
			return
		}
		for k := i; k < len(list); k++ {
			list[i], list[k] = list[k], list[i]
			walk(i + 1)
			list[i], list[k] = list[k], list[i]
		}
	}
	walk(0)
}
