package journaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"facteur/flow/journal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// epoch is the start time of the runs of this package.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// Run returns a run with that id, for tests.
func Run(id string) journal.Run {
	return journal.Run{
		ID: id, Flow: "greet", Digest: "d1", Version: 3, Status: "running", Started: epoch,
		Sources: map[string]string{"greet": "flow: greet\nsteps: []\n", "sub": "flow: sub\n"},
	}
}

// Record returns the nth record of a run, for tests.
func Record(n int) journal.Record {
	return journal.Record{
		At:   epoch.Add(time.Duration(n) * time.Millisecond),
		Kind: "answered",
		Body: fmt.Appendf(nil, `{"n":%d,"text":"n° %d"}`, n, n),
	}
}

// Records returns a change that adds those records.
func Records(nth ...int) (c journal.Change) {
	for _, n := range nth {
		c.Records = append(c.Records, Record(n))
	}
	return c
}

// load returns a run and its records.
func load(t *testing.T, j journal.Journal, id string) (journal.Run, []journal.Record) {
	t.Helper()
	run, records, err := j.Load(t.Context(), id)
	require.NoError(t, err)
	return run, records
}

// listRuns returns the runs that a filter selects.
func listRuns(t *testing.T, j journal.Journal, f journal.Filter) []journal.Run {
	t.Helper()
	runs, err := j.List(t.Context(), f)
	require.NoError(t, err)
	return runs
}

// openEvents returns the events that are not done.
func openEvents(t *testing.T, j journal.Journal) []journal.Event {
	t.Helper()
	events, err := j.OpenEvents(t.Context())
	require.NoError(t, err)
	return events
}

// Waits returns what a run waits for, for tests.
func Waits(subject string) journal.Waits {
	return journal.Waits{
		Until:         epoch.Add(24 * time.Hour),
		Subscriptions: []journal.Subscription{{Name: "whatsapp.message", Subject: subject, Connection: "shop", Since: epoch}},
		Keys:          []string{"f1.a.1"},
		Note:          json.RawMessage(`{"step":"reply"}`),
	}
}

// Event returns an event with that id, for tests.
func Event(id string) journal.Event {
	return journal.Event{
		ID: id, Name: "whatsapp.message", Subjects: []string{"anna", "33612345678"}, Connection: "shop", At: epoch,
		Body: fmt.Appendf(nil, `{"text":"%s"}`, id),
	}
}

// SameRun compares heads except for their numbers; times are equal if they are the same instant.
func SameRun(t *testing.T, want, got journal.Run) {
	t.Helper()
	assert.True(t, want.Started.Equal(got.Started), "started: want %v, got %v", want.Started, got.Started)
	assert.True(t, want.Ended.Equal(got.Ended), "ended: want %v, got %v", want.Ended, got.Ended)
	assert.Equal(t, want.Ended.IsZero(), got.Ended.IsZero())
	want.Seq, got.Seq = 0, 0
	want.Started, want.Ended, got.Started, got.Ended = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if len(want.Sources) == 0 && len(got.Sources) == 0 {
		want.Sources, got.Sources = nil, nil
	}
	assert.Equal(t, want, got)
}

// SameRecords compares records; times are equal if they are the same instant.
func SameRecords(t *testing.T, want, got []journal.Record) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, want[i].At.Equal(got[i].At), "record %d: want %v, got %v", i, want[i].At, got[i].At)
		require.Equal(t, want[i].Kind, got[i].Kind, "record %d", i)
		require.True(t, bytes.Equal(want[i].Body, got[i].Body), "record %d: want %.200s, got %.200s", i, want[i].Body, got[i].Body)
	}
}

// SameUnfinished compares the unfinished runs of a journal, and what they wait for, with want.
func SameUnfinished(t *testing.T, j interface {
	Unfinished(ctx context.Context, each func(journal.Run, journal.Waits) error) error
}, want map[string]journal.Waits) {
	t.Helper()
	got := map[string]journal.Waits{}
	last := int64(0)
	require.NoError(t, j.Unfinished(t.Context(), func(run journal.Run, w journal.Waits) error {
		require.Greater(t, run.Seq, last, "the first created comes first")
		last, got[run.ID] = run.Seq, w
		return nil
	}))
	for id, w := range want {
		require.Contains(t, got, id)
		require.Equal(t, normalize(w), normalize(got[id]), id)
	}
	require.Len(t, got, len(want))
}

// normalize makes times and empty lists comparable.
func normalize(w journal.Waits) journal.Waits {
	w.Until = w.Until.UTC()
	w.Subscriptions = slices.Clone(w.Subscriptions)
	for i := range w.Subscriptions {
		w.Subscriptions[i].Since = w.Subscriptions[i].Since.UTC()
	}
	w.Subscriptions = append([]journal.Subscription{}, w.Subscriptions...)
	w.Keys = append([]string{}, w.Keys...)
	w.Note = append(json.RawMessage{}, w.Note...)
	return w
}

// SameEvents compares events, including their order.
func SameEvents(t *testing.T, want, got []journal.Event) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		w, g := want[i], got[i]
		require.True(t, w.At.Equal(g.At), "event %d: want %v, got %v", i, w.At, g.At)
		require.True(t, bytes.Equal(w.Body, g.Body), "event %d: want %.200s, got %.200s", i, w.Body, g.Body)
		w.At, g.At, w.Body, g.Body = time.Time{}, time.Time{}, nil, nil
		require.Equal(t, w, g, "event %d", i)
	}
}
