package local_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// A call in flight stays listed as unknown when its run cannot be rebuilt any more.
func TestCancelOfAStuckRunListsUnknownCalls(t *testing.T) {
	j := &journal.Memory{}
	made, hard := make(chan struct{}), make(chan struct{})
	p := testCatalog{}.compile(t, one)
	h, err := local.Open(t.Context(), local.Options{Journal: j, Receipts: true,
		Restore: func(string, map[string]string) (*plan.Plan, error) { return p, nil },
		Do: func(context.Context, call.Call) call.Outcome {
			close(made)
			<-hard
			return lost()
		}})
	require.NoError(t, err)
	started, _, err := h.Start(t.Context(), p, host.Start{})
	require.NoError(t, err)
	<-made
	head, records, err := j.Load(t.Context(), started.ID)
	require.NoError(t, err)
	close(hard)
	require.NoError(t, h.Stop(t.Context()))

	after := &journal.Memory{} // as a crash leaves it
	require.NoError(t, after.Create(t.Context(), head, journal.Change{Records: records}))
	broken := errors.New("no action test.send")
	h = openHost(t, local.Options{Journal: after, Restore: func(string, map[string]string) (*plan.Plan, error) { return nil, broken }})
	eventually(t, "it is stuck", func() bool { return statusOf(t, h, head.ID) == host.Mismatch })
	require.NoError(t, h.Cancel(t.Context(), head.ID, "nobody can repair it"))
	unknown, _, err := h.List(t.Context(), host.Filter{Unknown: true})
	require.NoError(t, err)
	require.Len(t, unknown, 1)
	assert.Equal(t, machine.Cancelled, unknown[0].Status)
	require.NoError(t, h.Stop(t.Context()))

	for name, tell := range map[string]func(t *testing.T, h *local.Host, fits bool){
		"settled": func(t *testing.T, h *local.Host, fits bool) {
			step := "f1." + head.ID + ".1"
			if fits {
				step = "send"
			}
			var state *host.StateError
			require.ErrorAs(t, h.Settle(t.Context(), head.ID, "nothing", host.Settlement{}), &state)
			assert.Contains(t, state.Hint, "f1."+head.ID+".1")
			require.NoError(t, h.Settle(t.Context(), head.ID, step, host.Settlement{Happened: true}))
			assert.ErrorAs(t, h.Settle(t.Context(), head.ID, step, host.Settlement{}), &state)
		},
		"received": func(t *testing.T, h *local.Host, _ bool) {
			require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: "f1." + head.ID + ".7", ID: "1", State: "sent"}))
			require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: "f1." + head.ID + ".1", ID: "1", State: "sent"}))
		},
	} {
		for _, fits := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the flow compiles: %v", name, fits), func(t *testing.T) {
				head, records, err := after.Load(t.Context(), head.ID)
				require.NoError(t, err)
				j := &journal.Memory{}
				require.NoError(t, j.Create(t.Context(), head, journal.Change{Records: records, Unknown: []string{"f1." + head.ID + ".1"}, Status: head.Status, Ended: head.Ended}))
				h := openHost(t, local.Options{Journal: j, Restore: func(string, map[string]string) (*plan.Plan, error) {
					if fits {
						p := testCatalog{}.compile(t, strings.Replace(one, "to: a", "to: b", 1)) // as by another version of the machine
						p.Digest = head.Digest
						return p, nil
					}
					return nil, broken
				}})
				tell(t, h, fits)
				for range 2 {
					unknown, _, err := h.List(t.Context(), host.Filter{Unknown: true})
					require.NoError(t, err)
					assert.Empty(t, unknown)
					r, err := h.Get(t.Context(), head.ID)
					require.NoError(t, err)
					assert.Equal(t, machine.Cancelled, r.Run.Status)
					require.NoError(t, h.Stop(t.Context()))
					h = openHost(t, local.Options{Journal: j})
				}
			})
		}
	}
}

// A blindJournal can be written, but after blind is set no run can be loaded.
type blindJournal struct {
	journal.Journal
	blind atomic.Bool
}

func (j *blindJournal) Load(ctx context.Context, run string) (journal.Run, []journal.Record, error) {
	if j.blind.Load() {
		return journal.Run{}, nil, errors.New("a bad sector")
	}
	return j.Journal.Load(ctx, run)
}

// Cancel does not read a run that waits, which would double its time: whoever executes it does.
func TestCancelOfAWaitingRunDoesNotReadIt(t *testing.T) {
	j := &blindJournal{Journal: &journal.Memory{}}
	h := openHost(t, local.Options{Journal: j, MinParkTime: time.Nanosecond})
	run := startRun(t, h, testCatalog{}.compile(t, waits), nil)
	eventually(t, "it is parked", func() bool { return statusOf(t, h, run) == host.Waiting })
	j.blind.Store(true)
	require.NoError(t, h.Cancel(t.Context(), run, ""))
	_ = h.Stop(t.Context()) // it may have failed: it could not execute the run
	h = openHost(t, local.Options{Journal: j.Journal})
	assert.Equal(t, machine.Cancelled, waitResult(t, h, run).Status)
}
