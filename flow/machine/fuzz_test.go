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

// FuzzWorld drives machines by what the bytes say: whatever happens, legal or not, a
// machine answers with commands or with a *MismatchError, and a world that behaves
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
			known, _ = plans.LoadOrStore(seed, compile(t, (&author{Rand: rand.New(rand.NewSource(seed))}).flows()...))
		}
		p := known.(*plan.Plan)
		w := newChaos(newWorld(t, p, newStart(p, nil)), rand.New(rand.NewSource(seed+1)))
		for pair := range slices.Chunk(moves, 2) {
			w.fuzz(pair[0], int(pair[len(pair)-1]))
		}
		w.settle()
		w.checkResumeAt(len(moves) % (len(w.journal) + 1))
	})
}

// fuzz makes what the bytes say happen, if it is legal.
func (w *chaos) fuzz(what byte, n int) {
	w.now = w.now.Add(time.Duration(n%5-1) * time.Second)
	key := fmt.Sprintf("f1.run.%d", n%16)
	var print string
	for _, c := range append(w.world.calls(false), w.world.calls(true)...) {
		if c.Key == key {
			print = c.Print
		}
	}
	status := []call.Status{call.Succeeded, call.Pending, call.Failed, call.Unknown, call.Cancelled, "nonsense"}[n%6]
	var e machine.Event
	switch what % 12 {
	case 0, 1:
		e = machine.Taken{At: w.now, Key: key, Print: print}
	case 2:
		e = machine.Taken{At: w.now, Key: key, Print: "another"}
	case 3, 4:
		e = machine.Answered{At: w.now, Key: key, Outcome: call.Outcome{
			Status: status, Retryable: n%3 > 0, Held: n%7 == 0, After: time.Duration(n-10) * time.Second, Output: map[string]any{"nonsense": n},
		}}
	case 5:
		e = machine.Received{At: w.now, Receipt: call.Receipt{Key: key, State: []string{"sent", "read", "failed", ""}[n%4]}}
	case 6:
		e = machine.Fired{At: w.now, Timer: n - 1}
	case 7:
		e = machine.Arrived{At: w.now, Await: n%8 - 1, ID: fmt.Sprint(n % 5), Data: map[string]any{"text": n}}
	case 8:
		if n > 3 {
			return // most runs are not cancelled
		}
		e = machine.CancelRequested{At: w.now}
	case 9, 11:
		if what%12 == 11 && w.m.Result() == nil {
			w.settle()
		}
		e = machine.Retried{At: w.now, Resend: n%2 == 0}
	case 10:
		e = machine.Settled{At: w.now, Key: key, Happened: n%2 == 0, ID: "m"}
	}
	fresh, err := w.apply(e)
	var mismatch *machine.MismatchError
	switch {
	case errors.As(err, &mismatch):
		return // the host would stop here; the machine is as it was
	case err != nil:
		w.t.Fatalf("%T: %v", err, err)
	}
	w.book(e)
	w.check(fresh)
}

// TestMismatch: what does not belong to the run is refused, and changes nothing.
func TestMismatch(t *testing.T) {
	p := compile(t, "flow: one\nsteps: [{id: ask, action: test.get, with: {url: x}}]\n")
	w := newWorld(t, p, newStart(p, nil))
	key := w.calls(false)[0].Key
	later := epoch.Add(time.Hour)
	for _, tt := range []struct {
		event machine.Event
		want  string
	}{
		{nil, "an event is missing"},
		{foreign{}, "unknown event machine_test.foreign"},
		{&machine.Fired{At: later, Timer: 1}, "unknown event *machine.Fired"},
		{machine.Fired{At: later, Timer: 1}, "its timer 1 fired, which the flow does not set"},
		{machine.Arrived{At: later, Await: 1}, "an event arrived for the wait 1, which the flow does not make"},
		{machine.Taken{At: later, Key: key, Print: "x"}, "its call f1.run.1 of step ask was another one"},
		{machine.Taken{At: later, Key: "f1.run.2"}, "it took up the call f1.run.2, which the flow does not make"},
		{machine.Answered{At: later, Key: key}, "it has an outcome for the call f1.run.1, which is not under way"},
	} {
		_, err := w.apply(tt.event)
		var mismatch *machine.MismatchError
		require.ErrorAs(t, err, &mismatch)
		assert.Equal(t, tt.want, mismatch.Reason)
	}
	assert.True(t, w.m.Now().Equal(epoch))
	w.must(machine.Taken{At: later, Key: key, Print: w.calls(false)[0].Print})
	assert.True(t, w.m.Now().Equal(later))
	_, err := w.apply(machine.Taken{At: later, Key: key})
	assert.EqualError(t, err, "the record does not fit the flow: it took up the call f1.run.1 twice")
}

type foreign struct{ machine.Event }

func (foreign) Time() time.Time { return epoch }
