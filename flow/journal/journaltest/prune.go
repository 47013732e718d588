package journaltest

import (
	"fmt"
	"testing"
	"time"

	"facteur/flow/journal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func prune(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	ended := func(id string, at time.Time) {
		t.Helper()
		require.NoError(t, j.Create(ctx, Run(id), journal.Change{Records: Records(0, 1).Records, Unknown: []string{"k"}, Recipients: []string{"anna"}}))
		require.NoError(t, j.Write(ctx, id, true, journal.Change{Status: "failed", Ended: at}))
	}
	ended("old", epoch.Add(time.Hour))
	require.NoError(t, j.Write(ctx, "old", true, journal.Change{Settled: []string{"k"}}))
	ended("unsettled", epoch.Add(time.Hour))
	require.NoError(t, j.Create(ctx, Run("open"), journal.Change{Recipients: []string{"anna"}}))
	ended("reopened", epoch.Add(time.Hour))
	require.NoError(t, j.Write(ctx, "reopened", true, journal.Change{Status: "running"}))
	ended("at the time", epoch.Add(2*time.Hour))
	ended("young", epoch.Add(3*time.Hour))
	ended("the last one", epoch.Add(time.Hour))

	n, err := j.Prune(ctx, epoch.Add(-time.Hour), epoch.Add(-time.Hour), 100)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = j.Prune(ctx, epoch.Add(2*time.Hour), epoch.Add(2*time.Hour), 100)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, _, err = j.Load(ctx, "old")
	var missing *journal.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.ErrorAs(t, j.Write(ctx, "old", true, Records(2)), &missing, "a late receipt")
	left := []string{"the last one", "young", "at the time", "reopened", "open", "unsettled"}
	for _, f := range []journal.Filter{{}, {Flow: "greet"}, {Recipient: "anna"}, {Since: epoch}} {
		runs := listRuns(t, j, f)
		require.Equal(t, left, ids(runs), "%+v", f)
	}
	unknown := listRuns(t, j, journal.Filter{Unknown: true})
	require.Equal(t, []string{"the last one", "young", "at the time", "reopened", "unsettled"}, ids(unknown), "they are listed until they are settled")
	_, records := load(t, j, "young")
	SameRecords(t, Records(0, 1).Records, records)

	before := unknown[0].Seq
	require.NoError(t, j.Create(ctx, Run("old"), Records(5)), "its id is free")
	head, records := load(t, j, "old")
	require.Greater(t, head.Seq, before)
	SameRecords(t, Records(5).Records, records)

	require.NoError(t, j.Write(ctx, "unsettled", true, journal.Change{Settled: []string{"k"}}))
	n, err = j.Prune(ctx, epoch.Add(2*time.Hour), epoch.Add(2*time.Hour), 100)
	require.NoError(t, err)
	require.Equal(t, 1, n, "nobody knows what became of the others")
}

// pruneInBatches prunes runs in batches while others are written; nothing is left of them.
func pruneInBatches(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	const runs = 400
	for i := range runs {
		run := Run(fmt.Sprint(i))
		run.Digest = fmt.Sprint("d", i/100)
		c := Records(0)
		if i%50 != 3 {
			c.Status, c.Ended = "succeeded", epoch.Add(time.Second)
		}
		require.NoError(t, j.Create(ctx, run, c))
	}
	require.NoError(t, j.Create(ctx, Run("kept"), Records(0)))
	together(2, func(i int) {
		if i == 0 {
			for n := 1; n < 200; n++ {
				assert.NoError(t, j.Write(ctx, "kept", n%20 == 0, Records(n)))
			}
			return
		}
		total := 0
		for {
			n, err := j.Prune(ctx, epoch.Add(time.Minute), epoch.Add(time.Minute), 30)
			if !assert.NoError(t, err) || !assert.LessOrEqual(t, n, 30) {
				return
			}
			total += n
			if n < 30 {
				break
			}
		}
		assert.Equal(t, runs-8, total)
	})
	left := listRuns(t, j, journal.Filter{})
	require.Len(t, left, 9)
	_, records := load(t, j, "kept")
	require.Len(t, records, 200)
	run := Run("new")
	run.Digest = "d0" // of a plan that was pruned, or not
	require.NoError(t, j.Create(ctx, run, Records(0)))
	head, _ := load(t, j, "new")
	SameRun(t, run, head)
}

func pruneEvents(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for i := range 10 {
		e := Event(fmt.Sprint(i))
		e.At = epoch.Add(time.Duration(i) * time.Hour)
		_, err := j.Deliver(ctx, []journal.Event{e}, nil)
		require.NoError(t, err)
		if i != 2 {
			require.NoError(t, j.MarkDone(ctx, e.ID))
		}
	}
	for _, want := range []int{3, 1, 0} { // 0, 1, 3 and then 4
		n, err := j.Prune(ctx, epoch.Add(50*time.Hour), epoch.Add(5*time.Hour), 3)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	events, err := j.Events(ctx, "whatsapp.message", "anna", "", time.Time{})
	require.NoError(t, err)
	require.Len(t, events, 6)
	require.Equal(t, "2", events[0].ID, "it is not done")
	fresh, err := j.Deliver(ctx, []journal.Event{Event("0")}, nil)
	require.NoError(t, err)
	require.Equal(t, []bool{true}, fresh, "nobody knows it any more")
}
