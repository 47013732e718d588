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
	worlds = flag.Int("worlds", 150, "how many random flows meet a random world")
	seed   = flag.Int64("seed", 1, "of the first of them")
)

// TestRandomWorlds runs random flows in random worlds, in which everything that is
// legal may happen at any time, and then lets them end. After every event it checks
// what must hold always; at the end the run is resumed from every prefix of its journal.
func TestRandomWorlds(t *testing.T) {
	for n := range int64(*worlds) {
		t.Run(fmt.Sprintf("seed=%d", *seed+n), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewSource(*seed + n))
			flows := (&author{Rand: r}).flows()
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(strings.Join(flows, "\n"))
				}
			})
			p := compile(t, flows...)
			start := newStart(p, nil)
			start.Receipts = r.Intn(4) > 0
			w := newChaos(newWorld(t, p, start), r)
			for range 40 {
				w.move()
			}
			w.settle()
			for range r.Intn(4) {
				w.retry()
			}
			w.checkResume()
		})
	}
}

// move makes one thing happen.
func (w *chaos) move() {
	w.now = w.now.Add(time.Duration(w.Intn(1500)) * time.Millisecond)
	held, underWay := w.world.calls(false), w.world.calls(true)
	switch w.Intn(9) {
	case 0, 1, 2:
		if len(held) > 0 {
			w.takeUp(held[w.Intn(len(held))])
			return
		}
		fallthrough
	case 3, 4:
		if len(underWay) > 0 {
			c := underWay[w.Intn(len(underWay))]
			w.answer(c, w.outcome())
		}
	case 5:
		w.receipt()
	case 6:
		if s, ok := w.due(); ok && w.Intn(2) == 0 {
			w.now = maxTime(w.now, s.Until)
			w.happen(machine.Fired{At: w.now, Timer: s.Timer})
		} else if ok { // one that may be over
			w.happen(machine.Fired{At: maxTime(w.now, s.Until), Timer: 1 + w.Intn(s.Timer)})
		}
	case 7:
		for _, a := range wants[machine.Await](w.world) {
			data := map[string]any{"path": "/x", "body": []any{1.0, 2.5, "x"}}
			if a.Event == "test.message" {
				data = map[string]any{"from": a.Subject, "text": fmt.Sprint(w.Intn(5)), "raw": map[string]any{"n": 3.0}}
			}
			w.happen(machine.Arrived{At: w.now, Await: a.ID, ID: fmt.Sprint("e", w.Intn(20)), Data: data})
		}
	case 8:
		if w.Intn(12) == 0 {
			w.cancel()
		}
		if unknown := w.m.Unknown(); len(unknown) > 0 && w.Intn(3) == 0 {
			w.settleOne(unknown[w.Intn(len(unknown))])
		}
	}
}

// settleOne lets a person say what became of a call.
func (w *chaos) settleOne(key string) {
	path := w.byKey[key].step
	e, err := w.m.Settlement(path, w.Intn(2) == 0, []string{"", "m7"}[w.Intn(2)], w.now)
	require.NoError(w.t, err)
	settled := e.(machine.Settled)
	require.Equal(w.t, path, w.byKey[settled.Key].step)
	w.happen(settled)
}

// retry lets the run go on that has ended, with news in between.
func (w *chaos) retry() {
	for range w.Intn(4) {
		if w.Intn(2) == 0 {
			w.receipt()
		} else if unknown := w.m.Unknown(); len(unknown) > 0 {
			w.settleOne(unknown[w.Intn(len(unknown))])
		}
	}
	w.now = w.now.Add(time.Duration(w.Intn(90)) * time.Second)
	e := machine.Retried{At: w.now, Resend: w.Intn(2) == 0}
	err := w.m.Retryable(e.Resend)
	if w.m.Result().Status == machine.Succeeded {
		require.Error(w.t, err)
		require.Empty(w.t, err.(*machine.RetryError).Unknown)
		return
	}
	if err != nil {
		require.False(w.t, e.Resend)
		for _, path := range err.(*machine.RetryError).Unknown {
			require.True(w.t, slices.ContainsFunc(w.calls[path], func(c *made) bool { return c.fate == "unknown" }), path)
		}
		e.Resend = true
		require.NoError(w.t, w.m.Retryable(true))
	}
	w.happen(e)
	for range 20 {
		w.move()
	}
	w.settle()
}

func (w *chaos) receipt() {
	if len(w.keys) == 0 {
		return
	}
	// Also for calls that are over, and for those that were never made.
	key := fmt.Sprintf("f1.run.%d", 1+w.Intn(len(w.keys)+1))
	state := []string{"sent", "delivered", "read", "failed", "warning"}[w.Intn(5)]
	w.happen(machine.Received{At: w.now, Receipt: call.Receipt{
		Key: key, ID: fmt.Sprint(state, w.Intn(6)), State: state, Data: map[string]any{"n": 1.0},
	}})
}

func (w *chaos) cancel() {
	// What has not been handed out is not started either, so nothing was in between.
	w.happen(machine.CancelRequested{At: w.now, Reason: "enough"})
}

func (w *chaos) outcome() call.Outcome {
	output := map[string]any{
		"status_code": 200 + w.Intn(2)*200, "success": true, "took": 1500 * time.Millisecond, "weight": 2.0,
		"at": time.Date(2026, 5, 1, 12, 0, 0, 7, time.FixedZone("", 7200)),
		"body": map[string]any{
			"whole": 3.0, "bytes": "a\xff\xfeb", "bad\xff": 1, "half": 0.5, "big": 1e18, "bigger": 1e21, "int": 7, "none": nil, "minus": math.Copysign(0, -1),
			"at": time.Date(2026, 5, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), "list": []any{1.0, int32(2)},
		},
	}
	if w.Intn(4) == 0 {
		output = nil
	}
	err := &call.Error{Code: fmt.Sprint(100 * w.Intn(3)), Message: "no", Details: map[string]any{"subcode": 2.0, "n": 3}}
	switch w.Intn(10) {
	case 0:
		return call.Outcome{Status: call.Failed, Error: err, Output: output}
	case 1, 2:
		return call.Outcome{Status: call.Failed, Error: err, Retryable: true, Output: output}
	case 3:
		return call.Outcome{Status: call.Failed, Retryable: true, Backoff: "pair", After: time.Second}
	case 4, 5:
		return call.Outcome{Status: call.Unknown, Error: err}
	case 6:
		return call.Outcome{Status: call.Cancelled, Held: w.Intn(2) == 0}
	case 7:
		return call.Outcome{Status: call.Pending, Output: output}
	}
	return call.Outcome{Status: call.Succeeded, Output: output}
}

// settle lets the run end: calls are made and answered, time passes, and what waits
// for ever is cancelled.
func (w *chaos) settle() {
	for range 5000 {
		if w.m.Result() != nil {
			return
		}
		if held := w.world.calls(false); len(held) > 0 {
			w.takeUp(held[w.Intn(len(held))])
		} else if underWay := w.world.calls(true); len(underWay) > 0 {
			w.answer(underWay[w.Intn(len(underWay))], w.outcome())
		} else if s, ok := w.due(); ok {
			w.now = maxTime(w.now, s.Until)
			w.happen(machine.Fired{At: w.now, Timer: s.Timer})
		} else {
			require.False(w.t, w.cancelled, "a cancelled run waits for nothing that may never come")
			w.cancel()
		}
	}
	require.Fail(w.t, "the run does not end")
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
			w := newWorld(t, p, newStart(p, nil))
			c := w.calls(false)[0]
			w.must(machine.Taken{At: w.now, Key: c.Key, Print: c.Print})
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
