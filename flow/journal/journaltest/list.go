package journaltest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"facteur/flow/journal"

	"github.com/stretchr/testify/require"
)

func list(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	runs := listRuns(t, j, journal.Filter{})
	require.Empty(t, runs)
	for i := range 130 {
		run := Run(fmt.Sprintf("r%03d", i))
		run.Flow = []string{"greet", "remind"}[i%2]
		require.NoError(t, j.Create(ctx, run, Records(0)))
		if i%3 == 0 {
			require.NoError(t, j.Write(ctx, run.ID, true, journal.Change{Status: "succeeded", Ended: epoch.Add(time.Second)}))
		}
	}
	for _, tt := range []struct {
		name        string
		filter      journal.Filter
		n           int
		first, last string
	}{
		{"by default", journal.Filter{}, 100, "r129", "r030"},
		{"some", journal.Filter{Limit: 3}, 3, "r129", "r127"},
		{"more than there are", journal.Filter{Limit: math.MaxInt}, 130, "r129", "r000"},
		{"all", journal.Filter{Limit: -1}, 130, "r129", "r000"},
		{"of a flow", journal.Filter{Flow: "greet", Limit: -1}, 65, "r128", "r000"},
		{"that run", journal.Filter{Status: "running", Limit: -1}, 86, "r128", "r001"},
		{"that ended", journal.Filter{Status: "succeeded", Limit: -1}, 44, "r129", "r000"},
		{"both", journal.Filter{Status: "succeeded", Flow: "remind", Limit: 2}, 2, "r129", "r123"},
	} {
		runs := listRuns(t, j, tt.filter)
		require.Len(t, runs, tt.n, tt.name)
		require.Equal(t, tt.first, runs[0].ID, tt.name)
		require.Equal(t, tt.last, runs[tt.n-1].ID, tt.name)
	}
	for _, none := range []journal.Filter{{Flow: "other"}, {Status: "other"}, {Flow: "gree_"}, {Status: "running", Flow: "Greet"}} {
		runs := listRuns(t, j, none)
		require.Empty(t, runs, "%+v", none)
	}
	runs = listRuns(t, j, journal.Filter{Status: "succeeded", Limit: 1})
	want := Run("r129")
	want.Flow, want.Status, want.Ended = "remind", "succeeded", epoch.Add(time.Second)
	SameRun(t, want, runs[0])
}

// listPages follows the cursor: runs created meanwhile are not on later pages.
func listPages(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for i := range 50 {
		require.NoError(t, j.Create(ctx, Run(fmt.Sprintf("r%02d", i)), Records(0)))
		if i%2 == 0 {
			require.NoError(t, j.Write(ctx, fmt.Sprintf("r%02d", i), false, journal.Change{Status: "succeeded", Ended: epoch}))
		}
	}
	for _, f := range []journal.Filter{{}, {Flow: "greet"}, {Status: "succeeded"}, {Flow: "greet", Status: "running"}} {
		all := listRuns(t, j, f)
		var paged []journal.Run
		f.Limit = 7
		for {
			page := listRuns(t, j, f)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			f.Before = page[len(page)-1].Seq
			late := Run(fmt.Sprintf("late %v %d", f, len(paged)))
			require.NoError(t, j.Create(ctx, late, journal.Change{Status: "succeeded", Ended: epoch}))
		}
		require.Equal(t, ids(all), ids(paged), "%+v", f)
	}
}

// listTimes: runs are listed in order of creation and selected by time, even if the clock was
// set back.
func listTimes(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for i, started := range []time.Duration{
		0, time.Second, time.Minute, time.Minute + 1, 2 * time.Hour, time.Hour, // it jumps back
		90 * time.Second, 3 * time.Hour, 3 * time.Hour,
	} {
		run := Run(fmt.Sprint(i))
		run.Started = epoch.Add(started)
		require.NoError(t, j.Create(ctx, run, Records(0)))
	}
	timeless := Run("timeless")
	timeless.Started = time.Time{}
	require.NoError(t, j.Create(ctx, timeless, Records(0)))
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	for _, tt := range []struct {
		since, until time.Time
		want         []string
	}{
		{at(0), time.Time{}, []string{"8", "7", "6", "5", "4", "3", "2", "1", "0"}},
		{at(1), time.Time{}, []string{"8", "7", "6", "5", "4", "3", "2", "1"}},
		{at(time.Minute), at(2 * time.Hour), []string{"6", "5", "3", "2"}},
		{at(time.Minute), at(2*time.Hour + 1), []string{"6", "5", "4", "3", "2"}},
		{at(3 * time.Hour), time.Time{}, []string{"8", "7"}},
		{at(3*time.Hour + 1), time.Time{}, nil},
		{at(72 * time.Hour), at(96 * time.Hour), nil},
		{time.Time{}, at(0), []string{"timeless"}},
		{time.Time{}, at(time.Second), []string{"timeless", "0"}},
		{at(time.Hour), at(time.Hour), nil},
	} {
		for _, f := range []journal.Filter{{}, {Flow: "greet"}, {Status: "running"}} {
			f.Since, f.Until = tt.since, tt.until
			runs := listRuns(t, j, f)
			require.Equal(t, tt.want, ids(runs), "%+v", f)
		}
	}
}

func listRecipients(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	require.NoError(t, j.Create(ctx, Run("a"), journal.Change{Recipients: []string{"anna"}}))
	require.NoError(t, j.Create(ctx, Run("b"), Records(0)))
	require.NoError(t, j.Create(ctx, Run("c"), Records(0)))
	require.NoError(t, j.Write(ctx, "c", true, journal.Change{Recipients: []string{"anna", "ben", "anna"}}))
	require.NoError(t, j.Write(ctx, "a", false, journal.Change{Recipients: []string{"anna"}}))
	require.NoError(t, j.Write(ctx, "b", true, journal.Change{Recipients: []string{"ben"}, Status: "failed", Ended: epoch}))
	for _, tt := range []struct {
		filter journal.Filter
		want   []string
	}{
		{journal.Filter{Recipient: "anna"}, []string{"c", "a"}},
		{journal.Filter{Recipient: "ben"}, []string{"c", "b"}},
		{journal.Filter{Recipient: "Anna"}, nil},
		{journal.Filter{Recipient: "ben", Status: "failed"}, []string{"b"}},
		{journal.Filter{Recipient: "ben", Limit: 1}, []string{"c"}},
	} {
		runs := listRuns(t, j, tt.filter)
		require.Equal(t, tt.want, ids(runs), "%+v", tt.filter)
	}
}

// listAll compares each combination of filters with a plain filter over all runs.
func listAll(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	recipients := map[string]string{}
	for i := range 120 {
		run := Run(fmt.Sprint(i))
		run.Flow = []string{"greet", "remind", "ask"}[i%3]
		run.Digest = fmt.Sprint(i / 40) // each flow has several plans
		run.Started = epoch.Add(time.Duration(i) * 20 * time.Second)
		recipients[run.ID] = []string{"anna", "ben"}[i/2%2]
		c := journal.Change{Recipients: []string{recipients[run.ID]}}
		if i%5 < 3 {
			c.Status, c.Ended = []string{"succeeded", "failed", "cancelled"}[i%5], run.Started.Add(time.Second)
		}
		if i%7 == 0 {
			c.Unknown = []string{"key"}
		}
		require.NoError(t, j.Create(ctx, run, c))
	}
	all := listRuns(t, j, journal.Filter{Limit: -1})
	require.Len(t, all, 120)
	for _, flow := range []string{"", "remind", "other"} {
		for _, status := range []string{"", "running", "failed", "other"} {
			for _, recipient := range []string{"", "ben"} {
				for _, unknown := range []bool{false, true} {
					for _, since := range []time.Time{{}, epoch.Add(10 * time.Minute)} {
						for _, limit := range []int{-1, 3} {
							f := journal.Filter{Flow: flow, Status: status, Recipient: recipient, Unknown: unknown, Since: since, Limit: limit}
							if !since.IsZero() {
								f.Until, f.Before = epoch.Add(30*time.Minute), all[20].Seq
							}
							var want []string
							for _, run := range all {
								if (flow == "" || run.Flow == flow) && (status == "" || run.Status == status) &&
									(recipient == "" || recipients[run.ID] == recipient) && (!unknown || run.Unknown > 0) &&
									(since.IsZero() || !run.Started.Before(since) && run.Started.Before(f.Until) && run.Seq < f.Before) &&
									(limit < 0 || len(want) < limit) {
									want = append(want, run.ID)
								}
							}
							runs := listRuns(t, j, f)
							require.Equal(t, want, ids(runs), "%+v", f)
						}
					}
				}
			}
		}
	}
}

func ids(runs []journal.Run) (ids []string) {
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	return ids
}
