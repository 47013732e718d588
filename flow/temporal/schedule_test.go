package temporal_test

import (
	"fmt"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/host/hosttest"
	"facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A clock is a schedule of a flow of the world. text makes it another flow with the same
// times.
func clock(t *testing.T, w *hosttest.World, cron, zone, missed, text string) host.Schedule {
	p := w.Compile(t, fmt.Sprintf("flow: clock\ntriggers: [{schedule: {cron: %q, timezone: %s, missed: %s}}]\nsteps: [{id: send, action: test.send, with: {to: a, text: %s}}]\n", cron, zone, missed, text))
	return host.Schedule{Name: "clock " + cron + " " + zone, Plan: p, Trigger: p.Triggers[0]}
}

func instant(t *testing.T, at string) time.Time {
	out, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	return out
}

// A schedule meets each time once, in its time zone, across clock changes by our own
// calculation, and what nobody was there for by the rule that holds locally.
func TestSchedule(t *testing.T) {
	for _, tt := range []struct {
		name, cron, zone, missed string
		from                     string
		long                     time.Duration
		away                     map[string]time.Duration // no daemon takes up what is met at that time, for so long
		want                     []temporal.Heard
	}{
		{
			name: "a time that does not exist", cron: "30 2 * * *", zone: "Europe/Paris", missed: "skip", from: "2026-03-27T12:00:00Z", long: 72 * time.Hour,
			want: []temporal.Heard{{At: "2026-03-28T01:30:00Z"}, {At: "2026-03-29T01:00:00Z"}, {At: "2026-03-30T00:30:00Z"}},
		},
		{
			name: "a time that exists twice", cron: "30 2 * * *", zone: "Europe/Paris", missed: "skip", from: "2026-10-23T12:00:00Z", long: 72 * time.Hour,
			want: []temporal.Heard{{At: "2026-10-24T00:30:00Z"}, {At: "2026-10-25T00:30:00Z"}, {At: "2026-10-26T01:30:00Z"}},
		},
		{
			name: "nobody there for three hours, skip", cron: "0 * * * *", zone: "UTC", missed: "skip", from: "2026-03-02T08:30:00Z", long: 5 * time.Hour,
			away: map[string]time.Duration{"2026-03-02T09:00:00Z": 3*time.Hour + 10*time.Minute},
			want: []temporal.Heard{{Missed: 4}, {At: "2026-03-02T13:00:00Z"}},
		},
		{
			name: "nobody there for three hours, once", cron: "0 * * * *", zone: "UTC", missed: "once", from: "2026-03-02T08:30:00Z", long: 5 * time.Hour,
			away: map[string]time.Duration{"2026-03-02T09:00:00Z": 3*time.Hour + 10*time.Minute},
			want: []temporal.Heard{{At: "2026-03-02T12:00:00Z", Missed: 3}, {At: "2026-03-02T13:00:00Z"}},
		},
		{
			name: "nobody there for half a minute", cron: "0 * * * *", zone: "UTC", missed: "skip", from: "2026-03-02T08:30:00Z", long: time.Hour,
			away: map[string]time.Duration{"2026-03-02T09:00:00Z": 30 * time.Second},
			want: []temporal.Heard{{At: "2026-03-02T09:00:00Z"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := hosttest.NewWorld()
			s := temporal.NewStage(options(w), "schedule")
			s.SetStartTime(instant(t, tt.from))
			s.Loaded(tt.long, nil, instant(t, tt.from).Add(tt.long))
			heard := s.Schedule(clock(t, w, tt.cron, tt.zone, tt.missed, "x"), tt.away)
			require.True(t, s.IsWorkflowCompleted())
			require.NoError(t, s.GetWorkflowError())
			for i := range heard {
				heard[i].Flow = ""
			}
			assert.Equal(t, tt.want, heard)
		})
	}
}

// Of flows that differ, those hold that were loaded last, whoever is heard first.
func TestScheduleOfSeveral(t *testing.T) {
	w := hosttest.NewWorld()
	at := instant(t, "2026-03-02T08:30:00Z")
	first, second := clock(t, w, "0 * * * *", "UTC", "skip", "first"), clock(t, w, "0 * * * *", "UTC", "skip", "second")
	s := temporal.NewStage(options(w), "schedule")
	s.SetStartTime(at)
	s.Loaded(time.Minute, &first, at)                           // the same again
	s.Loaded(time.Hour, &second, at.Add(time.Hour))             // after 9
	s.Loaded(2*time.Hour, &first, at.Add(time.Minute))          // after 10, from a daemon that loaded before
	s.Loaded(2*time.Hour+time.Minute, nil, at.Add(time.Hour-1)) // also before: it stays
	s.Loaded(3*time.Hour, nil, at.Add(3*time.Hour))             // after 11
	heard := s.Schedule(first, nil)
	require.True(t, s.IsWorkflowCompleted())
	assert.Equal(t, []temporal.Heard{
		{Flow: first.Plan.Digest, At: "2026-03-02T09:00:00Z"}, {Flow: second.Plan.Digest, At: "2026-03-02T10:00:00Z"}, {Flow: second.Plan.Digest, At: "2026-03-02T11:00:00Z"},
	}, heard)
}
