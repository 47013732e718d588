package journaltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"facteur/flow/journal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func changes(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for _, id := range []string{"e1", "e2", "e3"} {
		_, err := j.Deliver(ctx, []journal.Event{Event(id)}, nil)
		require.NoError(t, err)
	}
	start := Run("a")
	start.By, start.Lock, start.Inputs = "api", "lock", []byte{0, 1, 0xff}
	waits := Waits("anna")
	require.NoError(t, j.Create(ctx, start, journal.Change{
		Records: []journal.Record{Record(0), Record(1)}, Status: "waiting", Waits: &waits,
		Unknown: []string{"k1", "k2"}, Consumed: []string{"e1"}, Recipients: []string{"anna"},
	}))
	start.Status, start.Unknown = "waiting", 2
	head, records := load(t, j, "a")
	SameRun(t, start, head)
	SameRecords(t, Records(0, 1).Records, records)
	SameUnfinished(t, j, map[string]journal.Waits{"a": waits})

	require.NoError(t, j.Write(ctx, "a", true, journal.Change{
		Records: []journal.Record{Record(2)}, Status: "failed", Ended: epoch.Add(time.Hour),
		Unknown: []string{"k3"}, Settled: []string{"k1"}, Consumed: []string{"e3", "never came"}, Recipients: []string{"ben"},
	}))
	start.Status, start.Ended = "failed", epoch.Add(time.Hour)
	head, records = load(t, j, "a")
	SameRun(t, start, head)
	SameRecords(t, Records(0, 1, 2).Records, records)
	SameUnfinished(t, j, nil)
	for _, recipient := range []string{"anna", "ben"} {
		runs := listRuns(t, j, journal.Filter{Recipient: recipient})
		require.Equal(t, []string{"a"}, ids(runs))
	}
	events := openEvents(t, j)
	require.Len(t, events, 3)
	for i, claimed := range []bool{true, false, true} {
		require.Equal(t, claimed, events[i].Claimed, events[i].ID)
	}

	ended := Run("b")
	ended.Status, ended.Ended = "rejected", epoch
	require.NoError(t, j.Create(ctx, ended, Records(0)), "a run that never epoch")
	SameUnfinished(t, j, nil)
	require.NoError(t, j.Create(ctx, Run("c"), journal.Change{}), "a change may be empty")
	require.NoError(t, j.Write(ctx, "c", false, journal.Change{}))
	_, records = load(t, j, "c")
	require.Empty(t, records)
}

func statuses(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	anna, ben := Waits("anna"), Waits("ben")
	at := epoch.Add(time.Minute)
	require.NoError(t, j.Create(ctx, Run("a"), Records(0)))
	for i, step := range []struct {
		change journal.Change
		status string
		ended  time.Time
		waits  journal.Waits
	}{
		{journal.Change{Status: "waiting", Waits: &anna}, "waiting", time.Time{}, anna},
		{journal.Change{Records: Records(1).Records}, "waiting", time.Time{}, anna},
		{journal.Change{Waits: &ben}, "waiting", time.Time{}, ben},
		{journal.Change{Status: "held"}, "held", time.Time{}, ben},
		{journal.Change{Status: "running", Waits: &journal.Waits{}}, "running", time.Time{}, journal.Waits{}},
		{journal.Change{Status: "waiting", Waits: &anna}, "waiting", time.Time{}, anna},
		{journal.Change{Status: "failed", Ended: at}, "failed", at, journal.Waits{}},
		{journal.Change{Waits: &anna}, "failed", at, journal.Waits{}},
		{journal.Change{Records: Records(2).Records}, "failed", at, journal.Waits{}},
		{journal.Change{Status: "cancelled", Ended: at.Add(1), Waits: &ben}, "cancelled", at.Add(1), journal.Waits{}},
		{journal.Change{Status: "running"}, "running", time.Time{}, journal.Waits{}}, // a retry
		{journal.Change{Status: "failed", Ended: at}, "failed", at, journal.Waits{}},
		{journal.Change{Status: "waiting", Waits: &ben}, "waiting", time.Time{}, ben},
		{journal.Change{Status: "succeeded", Ended: at}, "succeeded", at, journal.Waits{}},
	} {
		require.NoError(t, j.Write(ctx, "a", i%2 == 0, step.change))
		head, _ := load(t, j, "a")
		want := Run("a")
		want.Status, want.Ended = step.status, step.ended
		SameRun(t, want, head)
		var open map[string]journal.Waits
		if step.ended.IsZero() {
			open = map[string]journal.Waits{"a": step.waits}
		}
		SameUnfinished(t, j, open)
		for _, status := range []string{"running", "waiting", "held", "failed", "cancelled", "succeeded"} {
			runs := listRuns(t, j, journal.Filter{Status: status})
			require.Equal(t, status == step.status, len(runs) == 1, "step %d: %s", i, status)
		}
	}
	_, records := load(t, j, "a")
	SameRecords(t, Records(0, 1, 2).Records, records)
}

func waitsRoundTrip(t *testing.T, j journal.Journal) {
	want := map[string]journal.Waits{}
	for i, w := range []journal.Waits{
		{},
		{Until: epoch},
		{Until: epoch.In(time.FixedZone("", 7200)), Keys: []string{"f1.a.1", ""}},
		{Subscriptions: []journal.Subscription{{}, {Name: "whatsapp.message", Subject: "\x00✉\xff", Connection: "shop", Since: time.Unix(0, -5)}}},
		{Note: json.RawMessage(`{"a": 1}`)},
		{Keys: make([]string, 500), Note: json.RawMessage(`"` + string(make([]byte, 9000)) + `"`)},
		{Until: time.Unix(0, 0), Subscriptions: make([]journal.Subscription, 3), Keys: []string{"k"}, Note: json.RawMessage(`null`)},
	} {
		id := fmt.Sprint(i)
		want[id] = w
		require.NoError(t, j.Create(t.Context(), Run(id), journal.Change{Waits: &w}))
		id += "w"
		want[id] = w
		require.NoError(t, j.Create(t.Context(), Run(id), journal.Change{Status: "waiting"}))
		require.NoError(t, j.Write(t.Context(), id, false, journal.Change{Waits: &w}))
	}
	SameUnfinished(t, j, want)
}

func unfinished(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	SameUnfinished(t, j, nil)
	var want []string
	for i := range 20 {
		run := Run(fmt.Sprint(i))
		run.Started = epoch.Add(-time.Duration(i) * time.Hour) // the clock goes back
		run.By, run.Lock, run.Inputs = "schedule", fmt.Sprint("lock", i), []byte{byte(i)}
		require.NoError(t, j.Create(ctx, run, journal.Change{Unknown: []string{"k"}}))
		if i%3 == 0 {
			require.NoError(t, j.Write(ctx, run.ID, true, journal.Change{Status: "failed", Ended: epoch}))
			continue
		}
		want = append(want, run.ID)
	}
	var got []string
	require.NoError(t, j.Unfinished(ctx, func(run journal.Run, _ journal.Waits) error {
		got = append(got, run.ID)
		whole, _, err := j.Load(ctx, run.ID)
		require.NoError(t, err, "others read meanwhile")
		require.Equal(t, whole.Seq, run.Seq)
		require.Nil(t, run.Sources)
		whole.Sources = nil
		SameRun(t, whole, run)
		return nil
	}))
	require.Equal(t, want, got)

	enough := errors.New("enough")
	n := 0
	require.Equal(t, enough, j.Unfinished(ctx, func(journal.Run, journal.Waits) error {
		n++
		return enough
	}))
	require.Equal(t, 1, n)
}

// unfinishedWhileWriting: Unfinished iterates over a snapshot, and a write inside the iteration
// does not deadlock.
func unfinishedWhileWriting(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for i := range 100 {
		require.NoError(t, j.Create(ctx, Run(fmt.Sprint(i)), Records(0)))
	}
	n := 0
	require.NoError(t, j.Unfinished(ctx, func(run journal.Run, _ journal.Waits) error {
		n++
		assert.Equal(t, "running", run.Status)
		if err := j.Create(ctx, Run(run.ID+" again"), Records(0)); err != nil {
			return err
		}
		return j.Write(ctx, run.ID, true, journal.Change{Status: "failed", Ended: epoch})
	}))
	require.Equal(t, 100, n)
	n = 0
	require.NoError(t, j.Unfinished(ctx, func(journal.Run, journal.Waits) error { n++; return nil }))
	require.Equal(t, 100, n)
}

func unknowns(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	require.NoError(t, j.Create(ctx, Run("a"), Records(0)))
	require.NoError(t, j.Create(ctx, Run("b"), Records(0)))
	for _, step := range []struct {
		run              string
		unknown, settled []string
		a, b             int
		listed           []string
	}{
		{"a", []string{"1"}, nil, 1, 0, []string{"a"}},
		{"a", []string{"1", "2", "2"}, nil, 2, 0, []string{"a"}},
		{"b", []string{"1"}, nil, 2, 1, []string{"b", "a"}},
		{"a", nil, []string{"1", "other"}, 1, 1, []string{"b", "a"}},
		{"a", nil, []string{"1"}, 1, 1, []string{"b", "a"}},
		{"b", nil, []string{"1"}, 1, 0, []string{"a"}},
		{"b", []string{"3"}, []string{"3"}, 1, 0, []string{"a"}}, // known at once
		{"a", nil, []string{"2"}, 0, 0, nil},
		{"a", []string{"2"}, nil, 1, 0, []string{"a"}},
	} {
		require.NoError(t, j.Write(ctx, step.run, false, journal.Change{Unknown: step.unknown, Settled: step.settled}))
		for id, want := range map[string]int{"a": step.a, "b": step.b} {
			head, _ := load(t, j, id)
			require.Equal(t, want, head.Unknown, "%s after %+v", id, step)
		}
		runs := listRuns(t, j, journal.Filter{Unknown: true})
		require.Equal(t, step.listed, ids(runs))
	}
}
