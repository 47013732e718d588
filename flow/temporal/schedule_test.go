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

// newSchedule returns a schedule of a flow of the world; another text makes it another flow with
// the same times.
func newSchedule(t *testing.T, w *hosttest.World, cron, zone, missed, text string) host.Schedule {
	p := w.Compile(t, fmt.Sprintf("flow: clock\ntriggers: [{schedule: {cron: %q, timezone: %s, missed: %s}}]\nsteps: [{id: send, action: test.send, with: {to: a, text: %s}}]\n", cron, zone, missed, text))
	return host.Schedule{Name: "clock " + cron + " " + zone, Plan: p, Trigger: p.Triggers[0]}
}

func parseTime(t *testing.T, at string) time.Time {
	out, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	return out
}

// A schedule meets each time once, in its time zone and across clock changes; times at which no
// daemon ran are missed by the same rules as in flow/local.
func TestSchedule(t *testing.T) {
	for _, tt := range []struct {
		name, cron, zone, missed string
		from                     string
		long                     time.Duration
		away                     map[string]time.Duration // no daemon takes up what is met at that time, for so long
		want                     []temporal.ScheduledRun
	}{
		{
			name: "a time that does not exist", cron: "30 2 * * *", zone: "Europe/Paris", missed: "skip", from: "2026-03-27T12:00:00Z", long: 72 * time.Hour,
			want: []temporal.ScheduledRun{{At: "2026-03-28T01:30:00Z"}, {At: "2026-03-29T01:00:00Z"}, {At: "2026-03-30T00:30:00Z"}},
		},
		{
			name: "a time that exists twice", cron: "30 2 * * *", zone: "Europe/Paris", missed: "skip", from: "2026-10-23T12:00:00Z", long: 72 * time.Hour,
			want: []temporal.ScheduledRun{{At: "2026-10-24T00:30:00Z"}, {At: "2026-10-25T00:30:00Z"}, {At: "2026-10-26T01:30:00Z"}},
		},
		{
			name: "nobody there for three hours, skip", cron: "0 * * * *", zone: "UTC", missed: "skip", from: "2026-03-02T08:30:00Z", long: 5 * time.Hour,
			away: map[string]time.Duration{"2026-03-02T09:00:00Z": 3*time.Hour + 10*time.Minute},
			want: []temporal.ScheduledRun{{Missed: 4}, {At: "2026-03-02T13:00:00Z"}},
		},
		{
			name: "nobody there for three hours, once", cron: "0 * * * *", zone: "UTC", missed: "once", from: "2026-03-02T08:30:00Z", long: 5 * time.Hour,
			away: map[string]time.Duration{"2026-03-02T09:00:00Z": 3*time.Hour + 10*time.Minute},
			want: []temporal.ScheduledRun{{At: "2026-03-02T12:00:00Z", Missed: 3}, {At: "2026-03-02T13:00:00Z"}},
		},
		{
			name: "nobody there for half a minute", cron: "0 * * * *", zone: "UTC", missed: "skip", from: "2026-03-02T08:30:00Z", long: time.Hour,
			away: map[string]time.Duration{"2026-03-02T09:00:00Z": 30 * time.Second},
			want: []temporal.ScheduledRun{{At: "2026-03-02T09:00:00Z"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := hosttest.NewWorld()
			s := temporal.NewTestEnv(options(w), "schedule")
			s.SetStartTime(parseTime(t, tt.from))
			s.Loaded(tt.long, nil, parseTime(t, tt.from).Add(tt.long))
			heard := s.Schedule(newSchedule(t, w, tt.cron, tt.zone, tt.missed, "x"), tt.away)
			require.True(t, s.IsWorkflowCompleted())
			require.NoError(t, s.GetWorkflowError())
			for i := range heard {
				heard[i].Flow = ""
			}
			assert.Equal(t, tt.want, heard)
		})
	}
}

// If daemons load different flows, those loaded last count, whichever signal comes first.
func TestScheduleOfSeveral(t *testing.T) {
	w := hosttest.NewWorld()
	at := parseTime(t, "2026-03-02T08:30:00Z")
	first, second := newSchedule(t, w, "0 * * * *", "UTC", "skip", "first"), newSchedule(t, w, "0 * * * *", "UTC", "skip", "second")
	s := temporal.NewTestEnv(options(w), "schedule")
	s.SetStartTime(at)
	s.Loaded(time.Minute, &first, at)                           // the same again
	s.Loaded(time.Hour, &second, at.Add(time.Hour))             // after 9
	s.Loaded(2*time.Hour, &first, at.Add(time.Minute))          // after 10, from a daemon that loaded before
	s.Loaded(2*time.Hour+time.Minute, nil, at.Add(time.Hour-1)) // also before: it stays
	s.Loaded(3*time.Hour, nil, at.Add(3*time.Hour))             // after 11
	heard := s.Schedule(first, nil)
	require.True(t, s.IsWorkflowCompleted())
	assert.Equal(t, []temporal.ScheduledRun{
		{Flow: first.Plan.Digest, At: "2026-03-02T09:00:00Z"}, {Flow: second.Plan.Digest, At: "2026-03-02T10:00:00Z"}, {Flow: second.Plan.Digest, At: "2026-03-02T11:00:00Z"},
	}, heard)
}
