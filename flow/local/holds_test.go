package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowNotes is a journal that lets other goroutines go first after it stored a note.
type slowNotes struct{ journal.Journal }

func (l slowNotes) Note(ctx context.Context, kind, name string, body json.RawMessage) error {
	err := l.Journal.Note(ctx, kind, name, body)
	for range rand.IntN(20) {
		runtime.Gosched()
	}
	return err
}

// Pause waits neither for a ledger that does not answer, nor for the runs that follow.
func TestPauseWhileReceiptsAreRead(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	h := openHost(t, local.Options{
		Do: func(_ context.Context, c call.Call) call.Outcome {
			if c.Input["to"] == "b" {
				return lost()
			}
			return accepted(c)
		},
		Past: hosttest.PastByKey(func(_ string) ([]call.Receipt, error) {
			asked <- true
			<-answer
			return []call.Receipt{{ID: "1", State: "sent"}}, nil
		}),
	})
	p := testCatalog{}.compile(t, "flow: f\ninputs: {to: {type: string}}\nsteps:\n  - {id: send, action: test.send, with: {to: \"${inputs.to}\"}}\n")
	doubted := startRun(t, h, p, map[string]any{"to": "b"})
	<-asked
	done := make(chan error, 1)
	go func() {
		err := h.Pause(t.Context(), host.Flow, "another", "")
		_, _, started := h.Start(t.Context(), p, host.Start{Inputs: map[string]any{"to": "a"}})
		done <- errors.Join(err, started)
	}()
	eventually(t, "all go on", func() bool { return len(done) == 1 })
	assert.NoError(t, <-done)
	close(answer)
	assert.Equal(t, machine.Succeeded, waitResult(t, h, doubted).Status)
}

// When one person pauses while another resumes, one of the two is last: the next host finds the
// same hold as this one has.
func TestPauseAndResumeAtTheSameTime(t *testing.T) {
	j := slowNotes{&journal.Memory{}}
	holds := func(h *local.Host) int {
		all, err := h.Holds(t.Context())
		require.NoError(t, err)
		return len(all)
	}
	for range 300 {
		h := openHost(t, local.Options{Journal: j})
		var both sync.WaitGroup
		both.Go(func() { assert.NoError(t, h.Pause(t.Context(), host.Connection, "shop", "")) })
		both.Go(func() {
			var missing *host.NotFoundError
			if err := h.Resume(t.Context(), host.Connection, "shop"); !errors.As(err, &missing) {
				assert.NoError(t, err)
			}
		})
		both.Wait()
		before := holds(h)
		require.NoError(t, h.Stop(t.Context()))
		h = openHost(t, local.Options{Journal: j})
		require.Equal(t, before, holds(h))
		require.NoError(t, h.Stop(t.Context()))
	}
}
