package journaltest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"facteur/flow/journal"
)

// began is when the runs of this package start.
var began = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// Run returns a run of that id, for tests.
func Run(id string) journal.Run {
	return journal.Run{
		ID: id, Flow: "greet", Digest: "d1", Version: 3, Status: "running", Started: began,
		Sources: map[string]string{"greet": "flow: greet\nsteps: []\n", "sub": "flow: sub\n"},
	}
}

// Record returns the nth record of a run, for tests.
func Record(n int) journal.Record {
	return journal.Record{
		At:   began.Add(time.Duration(n) * time.Millisecond),
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

// SameRun compares heads but for their numbers; times are the same if they are the same
// instant.
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

// SameRecords compares records, likewise.
func SameRecords(t *testing.T, want, got []journal.Record) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, want[i].At.Equal(got[i].At), "record %d: want %v, got %v", i, want[i].At, got[i].At)
		require.Equal(t, want[i].Kind, got[i].Kind, "record %d", i)
		require.True(t, bytes.Equal(want[i].Body, got[i].Body), "record %d: want %.200s, got %.200s", i, want[i].Body, got[i].Body)
	}
}
