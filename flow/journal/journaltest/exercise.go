// Package journaltest is the conformance suite of journals. Every implementation of
// journal.Journal runs Exercise; persistent ones also run Reopen.
package journaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"facteur/flow/journal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Exercise tests a journal. Each call of open returns an empty one.
func Exercise(t *testing.T, open func(t *testing.T) journal.Journal) {
	tests := []struct {
		name string
		test func(*testing.T, journal.Journal)
	}{
		{"heads come back whole", headsRoundTrip},
		{"records come back whole", recordsRoundTrip},
		{"an id is used once", usedOnce},
		{"an id is used once, by one of many", usedOnceConcurrently},
		{"records keep their order", recordOrder},
		{"no such run", notFound},
		{"a change is stored at once", changes},
		{"a status comes and goes", statuses},
		{"waits come back whole", waitsRoundTrip},
		{"unfinished", unfinished},
		{"unfinished runs while others write", unfinishedWhileWriting},
		{"calls that nobody knows the outcome of", unknowns},
		{"list", list},
		{"list page by page", listPages},
		{"list by time, whatever the clock did", listTimes},
		{"list by recipient", listRecipients},
		{"list by all at once", listAll},
		{"deliver", deliver},
		{"deliver an event once, by one of many", deliverOnceConcurrently},
		{"events come back whole", eventsRoundTrip},
		{"events by subject", eventsBySubject},
		{"wake", wake},
		{"notes", notes},
		{"prune", prune},
		{"prune little by little", pruneInBatches},
		{"prune events", pruneEvents},
		{"sources are of the run", sources},
		{"large bodies", largeBodies},
		{"runs side by side", concurrentRuns},
		{"reading while others write", readWhileWriting},
		{"an ended context stores nothing", endedContext},
		{"close", func(t *testing.T, j journal.Journal) { require.NoError(t, j.Close()) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := open(t)
			t.Cleanup(func() { assert.NoError(t, j.Close()) })
			tt.test(t, j)
		})
	}
}

// Reopen tests a journal that outlives the process. open opens the journal in a folder,
// which is empty at first.
func Reopen(t *testing.T, open func(t *testing.T, dir string) journal.Journal) {
	ctx := t.Context()
	dir := t.TempDir()
	var want []journal.Record
	for round := range 3 {
		j := open(t, dir)
		if round == 0 {
			want = append(want, Record(0))
			require.NoError(t, j.Create(ctx, Run("kept"), journal.Change{Records: want[:1]}))
		}
		for range 300 { // the last writes are still buffered when the journal is closed
			r := Record(len(want))
			require.NoError(t, j.Write(ctx, "kept", false, journal.Change{Records: []journal.Record{r}}))
			want = append(want, r)
		}
		require.NoError(t, j.Close())
	}
	j := open(t, dir)
	defer j.Close()
	head, records := load(t, j, "kept")
	SameRun(t, Run("kept"), head)
	SameRecords(t, want, records)
	require.Error(t, j.Create(ctx, Run("kept"), Records(0)))
	require.NoError(t, j.Create(ctx, Run("new"), Records(0)))
	runs := listRuns(t, j, journal.Filter{})
	require.Equal(t, []string{"new", "kept"}, ids(runs))
}

func headsRoundTrip(t *testing.T, j journal.Journal) {
	heads := []journal.Run{
		{ID: "only an id"},
		{ID: "with ended", Status: "failed", Started: epoch, Ended: epoch.Add(1)},
		{ID: "no source", Flow: "f", Digest: "d"},
		{ID: `o'clock "q" \ %_ ` + "\x00 ✉ é", Flow: "✉'", Status: `"`, Digest: "'", Version: math.MaxInt32},
		{ID: "another zone", Started: epoch.In(time.FixedZone("", 7200))},
		{ID: "1970", Started: time.Unix(0, 0)},
		{ID: "before 1970", Started: time.Unix(-1, 5)},
		{ID: "odd sources", Sources: map[string]string{"": "", "é": "\x00\xff\n", "crlf": "a\r\nb"}},
	}
	for _, want := range heads {
		require.NoError(t, j.Create(t.Context(), want, Records(0)))
	}
	for _, want := range heads {
		got, _ := load(t, j, want.ID)
		SameRun(t, want, got)
	}
}

func recordsRoundTrip(t *testing.T, j journal.Journal) {
	want := []journal.Record{
		{At: epoch, Kind: "started", Body: json.RawMessage(`{}`)},
		{At: time.Time{}, Kind: "no time", Body: json.RawMessage(`null`)},
		{At: epoch.Add(-time.Hour), Kind: "the clock went back", Body: json.RawMessage(` [1,  2.50] `)},
		{At: epoch, Kind: "no body"},
		{At: epoch, Kind: "", Body: json.RawMessage("\"\\u0000 ✉ \xff\"")},
	}
	require.NoError(t, j.Create(t.Context(), Run("a"), journal.Change{Records: want[:1]}))
	require.NoError(t, j.Write(t.Context(), "a", true, journal.Change{Records: want[1:]}))
	_, got := load(t, j, "a")
	SameRecords(t, want, got)
}

func usedOnce(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	require.NoError(t, j.Create(ctx, Run("a"), Records(0)))
	other := Run("a")
	other.Flow = "other"
	var exists *journal.ExistsError
	require.ErrorAs(t, j.Create(ctx, other, Records(1)), &exists)
	require.Equal(t, "a", exists.Run)
	head, records := load(t, j, "a")
	SameRun(t, Run("a"), head)
	require.Len(t, records, 1)
	require.NoError(t, j.Write(ctx, "a", true, Records(1)), "the first run goes on")
	require.NoError(t, j.Create(ctx, Run("A"), Records(0)), "case matters")
}

func usedOnceConcurrently(t *testing.T, j journal.Journal) {
	errs := make([]error, 32)
	together(len(errs), func(i int) { errs[i] = j.Create(t.Context(), Run("a"), Records(i)) })
	won := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, won, "two created it")
			won = i
			continue
		}
		var exists *journal.ExistsError
		require.ErrorAs(t, err, &exists)
	}
	require.NotEqual(t, -1, won, "none created it")
	_, records := load(t, j, "a")
	SameRecords(t, []journal.Record{Record(won)}, records)
}

func recordOrder(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	want := []journal.Record{Record(0)}
	require.NoError(t, j.Create(ctx, Run("a"), journal.Change{Records: want[:1]}))
	for i := range 200 {
		var batch []journal.Record
		for range i % 4 {
			batch = append(batch, Record(len(want)+len(batch)))
		}
		require.NoError(t, j.Write(ctx, "a", i%7 == 0, journal.Change{Records: batch}))
		want = append(want, batch...)
		if i%50 == 0 {
			_, got := load(t, j, "a")
			SameRecords(t, want, got)
		}
	}
	_, got := load(t, j, "a")
	SameRecords(t, want, got)
}

func notFound(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	require.NoError(t, j.Create(ctx, Run("a"), Records(0)))
	_, _, loading := j.Load(ctx, "no")
	for name, err := range map[string]error{
		"load":            loading,
		"durable":         j.Write(ctx, "no", true, Records(0)),
		"not durable":     j.Write(ctx, "no", false, Records(0)),
		"nothing":         j.Write(ctx, "no", false, journal.Change{}),
		"end":             j.Write(ctx, "no", true, journal.Change{Status: "failed", Ended: epoch}),
		"end with record": j.Write(ctx, "no", true, journal.Change{Records: Records(0).Records, Status: "failed", Ended: epoch}),
	} {
		var missing *journal.NotFoundError
		require.ErrorAs(t, err, &missing, name)
		require.Equal(t, "no", missing.Run, name)
	}
	require.NoError(t, j.Create(ctx, Run("no"), Records(0)), "nothing was left behind")
	_, records := load(t, j, "no")
	require.Len(t, records, 1)
}

func sources(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	texts := []map[string]string{
		{"greet": "one"},
		{"greet": "two"}, // under the same digest
		{"greet": "one", "sub": ""},
		{"greeto": "ne"},
		nil,
		{"greet": "one"},
	}
	for i, text := range texts {
		run := Run(fmt.Sprint(i))
		run.Sources = text
		require.NoError(t, j.Create(ctx, run, Records(0)))
	}
	runs := listRuns(t, j, journal.Filter{})
	require.Len(t, runs, len(texts))
	for i, text := range texts {
		want := Run(fmt.Sprint(i))
		want.Sources = text
		SameRun(t, want, runs[len(runs)-1-i])
		got, _ := load(t, j, want.ID)
		SameRun(t, want, got)
	}
}

func largeBodies(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	body := func(n int) journal.Record {
		r := Record(n)
		r.Body = append(append([]byte{'"'}, bytes.Repeat([]byte{byte('a' + n)}, 3<<20)...), '"')
		return r
	}
	want := []journal.Record{body(0), body(1), body(2), Record(3)}
	require.NoError(t, j.Create(ctx, Run("a"), journal.Change{Records: want[:1]}))
	require.NoError(t, j.Write(ctx, "a", false, journal.Change{Records: []journal.Record{want[1]}}))
	require.NoError(t, j.Write(ctx, "a", true, journal.Change{Records: []journal.Record{want[2]}}))
	require.NoError(t, j.Write(ctx, "a", false, journal.Change{Records: []journal.Record{want[3]}}))
	_, got := load(t, j, "a")
	SameRecords(t, want, got)
}

func concurrentRuns(t *testing.T, j journal.Journal) {
	const runs, records = 64, 25
	together(runs, func(i int) {
		id := fmt.Sprint(i)
		if !assert.NoError(t, j.Create(t.Context(), Run(id), Records(0))) {
			return
		}
		for n := 1; n < records; n++ {
			assert.NoError(t, j.Write(t.Context(), id, (n+i)%3 == 0, Records(n)))
		}
		assert.NoError(t, j.Write(t.Context(), id, true, journal.Change{Records: Records(records).Records, Status: "succeeded", Ended: epoch}))
	})
	var want []journal.Record
	for n := range records + 1 {
		want = append(want, Record(n))
	}
	for i := range runs {
		head, got := load(t, j, fmt.Sprint(i))
		require.Equal(t, "succeeded", head.Status)
		SameRecords(t, want, got)
	}
	all := listRuns(t, j, journal.Filter{Status: "running"})
	require.Empty(t, all)
}

// readWhileWriting: a reader sees a consistent snapshot of a run.
func readWhileWriting(t *testing.T, j journal.Journal) {
	const records = 100
	require.NoError(t, j.Create(t.Context(), Run("a"), Records(0)))
	together(3, func(i int) {
		if i == 0 {
			for n := 1; n < records; n++ {
				assert.NoError(t, j.Write(t.Context(), "a", n%2 == 0, Records(n)))
			}
			assert.NoError(t, j.Write(t.Context(), "a", true, journal.Change{Records: Records(records).Records, Status: "succeeded", Ended: epoch}))
			return
		}
		for seen, ended := 0, false; !ended; {
			head, got, err := j.Load(t.Context(), "a")
			if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, len(got), seen, "records went away") {
				return
			}
			seen, ended = len(got), head.Status == "succeeded"
			assert.Equal(t, ended, seen == records+1, "%s with %d records", head.Status, seen)
			_, err = j.List(t.Context(), journal.Filter{Status: "running"})
			assert.NoError(t, err)
		}
	})
}

func endedContext(t *testing.T, j journal.Journal) {
	require.NoError(t, j.Create(t.Context(), Run("a"), Records(0)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, j.Create(ctx, Run("b"), Records(0)), context.Canceled)
	require.ErrorIs(t, j.Write(ctx, "a", true, Records(1)), context.Canceled)
	require.ErrorIs(t, j.Write(ctx, "a", false, Records(1)), context.Canceled)
	require.ErrorIs(t, j.Write(ctx, "a", true, journal.Change{Status: "failed", Ended: epoch}), context.Canceled)
	head, got := load(t, j, "a")
	require.Equal(t, "running", head.Status)
	require.Len(t, got, 1)
	_, _, err := j.Load(t.Context(), "b")
	require.Error(t, err)
}

// together calls f(0) … f(n-1) concurrently and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
