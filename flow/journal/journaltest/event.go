package journaltest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"facteur/flow/journal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func deliver(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	waits := Waits("anna")
	for _, id := range []string{"a", "b", "c"} {
		require.NoError(t, j.Create(ctx, Run(id), journal.Change{Status: "waiting", Waits: &waits}))
	}
	require.NoError(t, j.Write(ctx, "c", true, journal.Change{Status: "failed", Ended: epoch}))
	fresh, err := j.Deliver(ctx, []journal.Event{Event("e"), Event("f"), Event("e")}, []string{"a", "c", "not there"})
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false}, fresh)
	status := func(id string) string {
		head, _ := load(t, j, id)
		return head.Status
	}
	require.Equal(t, []string{"running", "waiting", "failed"}, []string{status("a"), status("b"), status("c")})
	SameUnfinished(t, j, map[string]journal.Waits{"a": {}, "b": waits})

	require.NoError(t, j.MarkDone(ctx, "e"))
	require.NoError(t, j.MarkDone(ctx, "e"))
	require.NoError(t, j.MarkDone(ctx, "not there"))
	open := openEvents(t, j)
	SameEvents(t, []journal.Event{Event("f")}, open)
	require.NoError(t, j.MarkDone(ctx, "f"))
	other := Event("e")
	other.Body = json.RawMessage(`"other"`)
	fresh, err = j.Deliver(ctx, []journal.Event{other}, []string{"b"})
	require.NoError(t, err)
	require.Equal(t, []bool{false}, fresh)
	require.Equal(t, "running", status("b"), "who is woken is woken")
	open = openEvents(t, j)
	require.Empty(t, open, "the event stays as it was")
	events, err := j.Events(ctx, "whatsapp.message", "anna", "", time.Time{})
	require.NoError(t, err)
	want := []journal.Event{Event("e"), Event("f")}
	want[0].Done, want[1].Done = true, true
	SameEvents(t, want, events)

	fresh, err = j.Deliver(ctx, nil, []string{"c"})
	require.NoError(t, err)
	require.Empty(t, fresh)
}

func deliverOnceConcurrently(t *testing.T, j journal.Journal) {
	fresh := make([]bool, 32)
	together(len(fresh), func(i int) {
		one, err := j.Deliver(t.Context(), []journal.Event{Event("e")}, nil)
		assert.NoError(t, err)
		fresh[i] = slices.Contains(one, true)
	})
	n := 0
	for _, f := range fresh {
		if f {
			n++
		}
	}
	require.Equal(t, 1, n)
	events := openEvents(t, j)
	SameEvents(t, []journal.Event{Event("e")}, events)
}

func eventsRoundTrip(t *testing.T, j journal.Journal) {
	want := []journal.Event{
		{ID: "only an id"},
		{ID: "", Name: "no id"},
		{ID: "odd \x00 ' é \xff", Name: "✉\x00", Subjects: []string{"", "\xff", "a\x00b"}, Connection: `"`, At: time.Unix(-7, 3), Body: json.RawMessage(` [1] `)},
		{ID: "another zone", At: epoch.In(time.FixedZone("", -3600)), Body: make(json.RawMessage, 100_000)},
		{ID: "done", Done: true},
		{ID: "claimed", Claimed: true, Subjects: []string{"twice", "twice"}},
	}
	for _, e := range want {
		fresh, err := j.Deliver(t.Context(), []journal.Event{e}, nil)
		require.NoError(t, err)
		require.Equal(t, []bool{true}, fresh)
	}
	open := openEvents(t, j)
	SameEvents(t, append(want[:4:4], want[5]), open)
	for _, e := range want {
		for _, subject := range e.Subjects {
			found, err := j.Events(t.Context(), e.Name, subject, "", time.Time{})
			require.NoError(t, err)
			SameEvents(t, []journal.Event{e}, found)
		}
	}
}

func eventsBySubject(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	for i, e := range []journal.Event{
		{Name: "message", Subjects: []string{"anna", "33612345678"}, Connection: "shop", At: epoch},
		{Name: "message", Subjects: []string{"ben"}, Connection: "shop", At: epoch.Add(time.Minute)},
		{Name: "message", Subjects: []string{"anna"}, Connection: "bank", At: epoch.Add(2 * time.Minute)},
		{Name: "message", Subjects: []string{"anna"}, At: epoch.Add(time.Minute)}, // it came late
		{Name: "webhook", Subjects: []string{"anna"}, Connection: "shop", At: epoch.Add(time.Hour)},
		{Name: "message", Connection: "shop", At: epoch},
	} {
		e.ID = fmt.Sprint(i)
		_, err := j.Deliver(ctx, []journal.Event{e}, nil)
		require.NoError(t, err)
	}
	for _, tt := range []struct {
		name, subject, connection string
		since                     time.Time
		want                      []string
	}{
		{"message", "anna", "", time.Time{}, []string{"0", "2", "3"}},
		{"message", "anna", "shop", time.Time{}, []string{"0", "3"}},
		{"message", "anna", "bank", time.Time{}, []string{"2", "3"}},
		{"message", "anna", "other", time.Time{}, []string{"3"}},
		{"message", "anna", "", epoch, []string{"0", "2", "3"}},
		{"message", "anna", "", epoch.Add(1), []string{"2", "3"}},
		{"message", "anna", "", epoch.Add(time.Minute + 1), []string{"2"}},
		{"message", "anna", "", epoch.Add(time.Hour), nil},
		{"message", "33612345678", "shop", epoch, []string{"0"}},
		{"message", "ben", "", epoch, []string{"1"}},
		{"message", "", "", time.Time{}, nil},
		{"webhook", "anna", "", time.Time{}, []string{"4"}},
		{"webhook", "ben", "", time.Time{}, nil},
		{"messageanna", "", "", time.Time{}, nil},
	} {
		events, err := j.Events(ctx, tt.name, tt.subject, tt.connection, tt.since)
		require.NoError(t, err)
		var got []string
		for _, e := range events {
			got = append(got, e.ID)
		}
		require.Equal(t, tt.want, got, "%+v", tt)
	}
}

func wake(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	waits := Waits("anna")
	want := map[string]journal.Waits{}
	var runs []string
	for i := range 300 {
		id := fmt.Sprint(i)
		require.NoError(t, j.Create(ctx, Run(id), journal.Change{Status: "waiting", Waits: &waits}))
		want[id] = waits
		if i%2 == 0 {
			runs, want[id] = append(runs, id), journal.Waits{}
		}
	}
	require.NoError(t, j.Wake(ctx, false, append(runs, "not there")...))
	SameUnfinished(t, j, want)
	woken := listRuns(t, j, journal.Filter{Status: "running", Limit: -1})
	require.Len(t, woken, len(runs))
	require.NoError(t, j.Wake(ctx, true))
	require.NoError(t, j.Write(ctx, "1", true, journal.Change{Status: "succeeded", Ended: epoch}))
	require.NoError(t, j.Wake(ctx, true, "1", "3"))
	delete(want, "1")
	want["3"] = journal.Waits{}
	SameUnfinished(t, j, want)
}

func notes(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	none, err := j.Notes(ctx, "hold")
	require.NoError(t, err)
	require.Empty(t, none)
	for _, n := range []struct{ kind, name, body string }{
		{"hold", "shop", `{"a":1}`}, {"hold", "", `1`}, {"fired", "shop", `2`}, {"hold", "x\x00 é", `[ ]`}, {"hold", "shop", `{"a":2}`},
	} {
		require.NoError(t, j.Note(ctx, n.kind, n.name, json.RawMessage(n.body)))
	}
	got, err := j.Notes(ctx, "hold")
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{"shop": json.RawMessage(`{"a":2}`), "": json.RawMessage(`1`), "x\x00 é": json.RawMessage(`[ ]`)}, got)
	require.NoError(t, j.Note(ctx, "hold", "shop", nil))
	require.NoError(t, j.Note(ctx, "hold", "not there", nil))
	got, err = j.Notes(ctx, "hold")
	require.NoError(t, err)
	require.Len(t, got, 2)
	got, err = j.Notes(ctx, "fired")
	require.NoError(t, err)
	require.Len(t, got, 1)
}
