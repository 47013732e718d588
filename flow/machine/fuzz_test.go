package machine_test

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzWorld applies the events that the bytes say: whatever happens, legal or not, a
// machine answers with commands or with a *MismatchError, and a host that behaves
// from there on brings the run to its end.
func FuzzWorld(f *testing.F) {
	for seed := range int64(12) {
		moves := make([]byte, 60)
		rand.New(rand.NewSource(seed)).Read(moves)
		f.Add(seed, moves)
	}
	f.Add(int64(3), []byte{0, 0, 1, 0, 7, 7, 0, 0, 1, 4, 3, 3, 3, 3})
	var plans sync.Map // by seed: to compile takes longer than to run
	f.Fuzz(func(t *testing.T, seed int64, moves []byte) {
		moves = moves[:min(len(moves), 60)]
		seed %= 64
		known, ok := plans.Load(seed)
		if !ok {
			known, _ = plans.LoadOrStore(seed, compile(t, (&generator{Rand: rand.New(rand.NewSource(seed))}).flows()...))
		}
		p := known.(*plan.Plan)
		w := newRandomHost(newFakeHost(t, p, newStart(p, nil)), rand.New(rand.NewSource(seed+1)))
		for pair := range slices.Chunk(moves, 2) {
			w.fuzz(pair[0], int(pair[len(pair)-1]))
		}
		w.settle()
		w.checkResumeAt(len(moves) % (len(w.journal) + 1))
	})
}

// fuzz applies the event that the bytes say, if it is legal.
func (h *randomHost) fuzz(what byte, n int) {
	h.now = h.now.Add(time.Duration(n%5-1) * time.Second)
	key := fmt.Sprintf("f1.run.%d", n%16)
	var print string
	for _, c := range append(h.fakeHost.calls(false), h.fakeHost.calls(true)...) {
		if c.Key == key {
			print = c.Fingerprint
		}
	}
	status := []call.Status{call.Succeeded, call.Pending, call.Failed, call.Unknown, call.Cancelled, "nonsense"}[n%6]
	var e machine.Event
	switch what % 12 {
	case 0, 1:
		e = machine.Taken{At: h.now, Key: key, Fingerprint: print}
	case 2:
		e = machine.Taken{At: h.now, Key: key, Fingerprint: "another"}
	case 3, 4:
		e = machine.Answered{At: h.now, Key: key, Outcome: call.Outcome{
			Status: status, Retryable: n%3 > 0, Held: n%7 == 0, After: time.Duration(n-10) * time.Second, Output: map[string]any{"nonsense": n},
		}}
	case 5:
		e = machine.Received{At: h.now, Receipt: call.Receipt{Key: key, State: []string{"sent", "read", "failed", ""}[n%4]}}
	case 6:
		e = machine.Fired{At: h.now, Timer: n - 1}
	case 7:
		e = machine.Arrived{At: h.now, Await: n%8 - 1, ID: fmt.Sprint(n % 5), Data: map[string]any{"text": n}}
	case 8:
		if n > 3 {
			return // most runs are not cancelled
		}
		e = machine.CancelRequested{At: h.now}
	case 9, 11:
		if what%12 == 11 && h.m.Result() == nil {
			h.settle()
		}
		e = machine.Retried{At: h.now, Resend: n%2 == 0}
	case 10:
		e = machine.Settled{At: h.now, Key: key, Happened: n%2 == 0, ID: "m"}
	}
	fresh, err := h.apply(e)
	var mismatch *machine.MismatchError
	switch {
	case errors.As(err, &mismatch):
		return // the host would stop here; the machine is as it was
	case err != nil:
		h.t.Fatalf("%T: %v", err, err)
	}
	h.track(e)
	h.check(fresh)
}

// TestMismatch: an event that does not fit the run is refused, and changes nothing.
func TestMismatch(t *testing.T) {
	p := compile(t, "flow: one\nsteps: [{id: ask, action: test.get, with: {url: x}}]\n")
	w := newFakeHost(t, p, newStart(p, nil))
	key := w.calls(false)[0].Key
	later := epoch.Add(time.Hour)
	for _, tt := range []struct {
		event machine.Event
		want  string
	}{
		{nil, "an event is missing"},
		{unknownEvent{}, "unknown event machine_test.unknownEvent"},
		{&machine.Fired{At: later, Timer: 1}, "unknown event *machine.Fired"},
		{machine.Fired{At: later, Timer: 1}, "its timer 1 fired, which the flow does not set"},
		{machine.Arrived{At: later, Await: 1}, "an event arrived for the wait 1, which the flow does not have"},
		{machine.Taken{At: later, Key: key, Fingerprint: "x"}, "its call f1.run.1 of step ask is not the one that the flow makes"},
		{machine.Taken{At: later, Key: "f1.run.2"}, "it has the call f1.run.2, which the flow does not make"},
		{machine.Answered{At: later, Key: key}, "it has an outcome of the call f1.run.1, which is not under way"},
	} {
		_, err := w.apply(tt.event)
		var mismatch *machine.MismatchError
		require.ErrorAs(t, err, &mismatch)
		assert.Equal(t, tt.want, mismatch.Reason)
	}
	assert.True(t, w.m.Now().Equal(epoch))
	w.must(machine.Taken{At: later, Key: key, Fingerprint: w.calls(false)[0].Fingerprint})
	assert.True(t, w.m.Now().Equal(later))
	_, err := w.apply(machine.Taken{At: later, Key: key})
	assert.EqualError(t, err, "the record does not match the flow: it has the call f1.run.1 twice")
}

type unknownEvent struct{ machine.Event }

func (unknownEvent) Time() time.Time { return epoch }
