package trigger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"facteur/flow/host"
	"facteur/flow/trigger"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scheduledFlow is a flow with a schedule; its input is the scheduled time.
func scheduledFlow(name, cron, zone, missed string) string {
	return fmt.Sprintf(`flow: %s
inputs: {at: {type: string, format: date-time}}
triggers: [{schedule: {cron: %q, timezone: %q, missed: %s, inputs: {at: "${now()}"}}}]
steps: [{set: {x: "${inputs.at}"}}]
`, name, cron, zone, missed)
}

// A simulation runs several processes, one after another, with the same host and notes, on a
// virtual clock.
type simulation struct {
	clock *host.Virtual
	set   time.Duration // by how much the clock was set
	jump  time.Time     // when it is set, by the clock before
	by    time.Duration
	notes *notes
	host  *fakeHost

	restored bool // the notes are from a backup
}

func newSimulation(t testing.TB, at string) *simulation {
	return &simulation{clock: host.NewVirtual(parseTime(t, at)), notes: &notes{}, host: &fakeHost{}}
}

func parseTime(t testing.TB, at string) time.Time {
	out, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	return out
}

// runUntil runs a process with these flows until a time.
func (s *simulation) runUntil(t *testing.T, end string, texts ...string) *fixture {
	t.Helper()
	return s.process(t, parseTime(t, end), func(*fixture) {}, texts...)
}

// process runs a process until a time, and calls each before each sleep.
func (s *simulation) process(t *testing.T, end time.Time, each func(*fixture), texts ...string) *fixture {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	clock := &processClock{simulation: s, end: end, stop: stop}
	k := newFixtureOn(t, s.host, trigger.Options{Clock: clock, Notes: s.notes, Restored: s.restored}, texts...)
	clock.each = func() { each(k) }
	require.NoError(t, k.Run(ctx))
	return k
}

// sleep advances the clock while no process runs.
func (s *simulation) sleep(t *testing.T, until string) {
	t.Helper()
	require.NoError(t, s.clock.Wait(t.Context(), parseTime(t, until).Add(-s.set), nil))
}

// times returns the scheduled times of the started runs, in a time zone.
func (s *simulation) times(t *testing.T, zone string) []string {
	z, err := time.LoadLocation(zone)
	require.NoError(t, err)
	out := []string{}
	for _, r := range s.host.runs {
		out = append(out, r.inputs["at"].(time.Time).In(z).Format("01-02 15:04 -0700"))
	}
	return out
}

// A processClock ends a process at a time. Setting it does not affect timers.
type processClock struct {
	*simulation
	end  time.Time
	stop func()
	each func()
}

func (c *processClock) Now() time.Time { return measured(c.clock.Now().Add(c.set), -c.set) }

// measured returns a time with a monotonic clock reading that differs from the wall clock, as
// time.Now returns it after the clock was set. Nothing else makes such times.
func measured(shown time.Time, set time.Duration) time.Time {
	const has, from1885 = 1 << 63, 31045 * 24 * 60 * 60 // see the source of time.Time
	out := shown.Local()
	inside := (*struct {
		wall uint64
		even int64
	})(unsafe.Pointer(&out))
	inside.wall = has | uint64(shown.Unix()+from1885)<<30 | uint64(shown.Nanosecond())
	inside.even = shown.Add(set).UnixNano()
	return out
}

// TestMeasured: measured makes times with the intended wall clock and monotonic readings.
func TestMeasured(t *testing.T) {
	at := parseTime(t, "2026-03-02T08:30:00Z")
	set := measured(at.Add(time.Hour), -time.Hour)
	require.True(t, set.Round(0).Equal(at.Add(time.Hour)))
	require.Zero(t, set.Sub(measured(at, 0)), "the clock was set, and no time has passed")
}

func (c *processClock) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error {
	c.each()
	select {
	case <-wake:
		return nil
	default:
	}
	last := until.IsZero() || until.After(c.end)
	if last {
		until = c.end
	}
	if err := c.clock.Wait(ctx, until.Add(-c.set), wake); err != nil {
		return err
	}
	if !c.jump.IsZero() && !c.Now().Before(c.jump) {
		c.set, c.jump, last = c.set+c.by, time.Time{}, false
	}
	if last {
		c.stop()
	}
	return ctx.Err()
}

// TestScheduleAcrossClockChanges runs through the days on which daylight saving time changes.
func TestScheduleAcrossClockChanges(t *testing.T) {
	for _, tt := range []struct {
		name, cron, zone, from, until string
		want                          []string
	}{
		{"Paris, spring", "30 2 * * *", "Europe/Paris", "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z",
			[]string{"03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"}},
		{"Paris, autumn", "30 2 * * *", "Europe/Paris", "2026-10-23T12:00:00Z", "2026-10-26T12:00:00Z",
			[]string{"10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"}},
		{"Paris, autumn, each hour", "0 * * * *", "Europe/Paris", "2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z",
			[]string{"10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 03:00 +0100"}},
		{"New York, spring", "30 2 * * *", "America/New_York", "2026-03-06T12:00:00Z", "2026-03-09T12:00:00Z",
			[]string{"03-07 02:30 -0500", "03-08 03:00 -0400", "03-09 02:30 -0400"}},
		{"New York, autumn", "30 1 * * *", "America/New_York", "2026-10-30T12:00:00Z", "2026-11-02T12:00:00Z",
			[]string{"10-31 01:30 -0400", "11-01 01:30 -0400", "11-02 01:30 -0500"}},
		{"Lord Howe, spring, by half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z", "2026-10-05T12:00:00Z",
			[]string{"10-03 02:15 +1030", "10-04 02:30 +1100", "10-05 02:15 +1100"}},
		{"Lord Howe, autumn, by half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z", "2026-04-06T12:00:00Z",
			[]string{"04-04 01:45 +1100", "04-05 01:45 +1100", "04-06 01:45 +1030"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newSimulation(t, tt.from)
			k := l.runUntil(t, tt.until, scheduledFlow("daily", tt.cron, tt.zone, "skip"))
			assert.Equal(t, tt.want, l.times(t, tt.zone))
			assert.NotRegexp(t, "level=(WARN|ERROR)", k.log.String())
			assert.Equal(t, "schedule "+tt.cron, l.host.runs[0].by)
		})
	}
}

// TestMissedTimes lets no process run for some hours.
func TestMissedTimes(t *testing.T) {
	for _, tt := range []struct {
		name, cron, missed string
		down, up           string // then it runs until noon
		want               []string
		count              int
	}{
		{"skip", "0 9 * * *", "skip", "08:00", "10:00", []string{}, 1},
		{"once", "0 9 * * *", "once", "08:00", "10:00", []string{"03-02 09:00 +0000"}, 0},
		{"several, once", "0 * * * *", "once", "08:30", "11:30", []string{"03-02 11:00 +0000", "03-02 12:00 +0000"}, 2},
		{"several, skip", "0 * * * *", "skip", "08:30", "11:30", []string{"03-02 12:00 +0000"}, 3},
		{"a short restart", "0 9 * * *", "skip", "08:59", "09:00", []string{"03-02 09:00 +0000"}, 0},
		{"a restart within a minute", "0 9 * * *", "skip", "08:30", "09:01", []string{"03-02 09:00 +0000"}, 0},
		{"up again at that time", "0 9 * * *", "once", "08:30", "09:00", []string{"03-02 09:00 +0000"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newSimulation(t, "2026-03-02T07:30:00Z")
			flow := scheduledFlow("daily", tt.cron, "UTC", tt.missed)
			l.runUntil(t, "2026-03-02T"+tt.down+":00Z", flow)
			l.host.runs = nil
			l.sleep(t, "2026-03-02T"+tt.up+":00Z")
			k := l.runUntil(t, "2026-03-02T12:00:00Z", flow)
			assert.Equal(t, tt.want, l.times(t, "UTC"))
			assert.Equal(t, tt.count, k.counts["daily schedule missed"])
			if tt.count > 0 {
				assert.Contains(t, k.log.String(), fmt.Sprintf("times=%d", tt.count))
			}
		})
	}
}

// TestRestored: after a restore, times due since the backup are not started, because they may
// already have been.
func TestRestored(t *testing.T) {
	for name, up := range map[string]string{"within a minute": "09:00:30", "later": "10:10:00"} {
		t.Run(name, func(t *testing.T) {
			l := newSimulation(t, "2026-03-02T07:30:00Z")
			flow := scheduledFlow("daily", "0 9 * * *", "UTC", "once")
			l.runUntil(t, "2026-03-02T08:00:00Z", flow)
			l.sleep(t, "2026-03-02T"+up+"Z")
			l.restored = true
			k := l.runUntil(t, "2026-03-02T12:00:00Z", flow)
			assert.Empty(t, l.host.runs)
			assert.Equal(t, 1, k.counts["daily schedule missed"])
			assert.Contains(t, k.log.String(), "times=1 until=2026-03-02T09:00:00")
			l.restored = false
			l.runUntil(t, "2026-03-03T12:00:00Z", flow)
			assert.Equal(t, []string{"03-03 09:00 +0000"}, l.times(t, "UTC"))
		})
	}
}

// TestNewSchedule: a schedule that is new, was changed or was added again has missed no times.
func TestNewSchedule(t *testing.T) {
	l := newSimulation(t, "2026-03-02T09:30:00Z")
	flow := scheduledFlow("daily", "0 9 * * *", "UTC", "once")
	l.runUntil(t, "2026-03-02T10:00:00Z", flow)
	l.runUntil(t, "2026-03-04T10:00:00Z") // the flow is gone
	l.runUntil(t, "2026-03-04T11:00:00Z", flow)
	l.sleep(t, "2026-03-05T09:30:00Z")
	l.runUntil(t, "2026-03-05T10:00:00Z", scheduledFlow("daily", "15 9 * * *", "UTC", "once"))
	assert.Empty(t, l.host.runs)
	l.runUntil(t, "2026-03-06T10:00:00Z", scheduledFlow("daily", "15 9 * * *", "UTC", "once"))
	assert.Equal(t, []string{"03-06 09:15 +0000"}, l.times(t, "UTC"))
}

// TestKilled kills the process after a start, before it was noted: the time is not started
// twice.
func TestKilled(t *testing.T) {
	for _, missed := range []string{"skip", "once"} {
		l := newSimulation(t, "2026-03-02T08:30:00Z")
		flow := scheduledFlow("daily", "0 9 * * *", "UTC", missed)
		l.host.onStart = func() { l.notes.fail = errors.New("the process is gone") }
		l.runUntil(t, "2026-03-02T09:00:00Z", flow)
		require.Len(t, l.host.runs, 1)
		for range 3 {
			l.notes.fail, l.host.onStart = nil, nil
			l.runUntil(t, "2026-03-02T09:00:30Z", flow)
		}
		l.sleep(t, "2026-03-02T12:00:00Z")
		k := l.runUntil(t, "2026-03-03T09:30:00Z", flow)
		assert.Equal(t, []string{"03-02 09:00 +0000", "03-03 09:00 +0000"}, l.times(t, "UTC"), missed)
		assert.Equal(t, 1, k.counts["daily schedule started"])
	}
}

// TestClockJumpsBack sets the clock back by an hour: no time is started twice, and no later one
// is skipped.
func TestClockJumpsBack(t *testing.T) {
	for _, missed := range []string{"skip", "once"} {
		l := newSimulation(t, "2026-03-02T08:30:00Z")
		l.jump, l.by = parseTime(t, "2026-03-02T09:45:00Z"), -time.Hour
		flow := scheduledFlow("hourly", "0 * * * *", "UTC", missed)
		fresh := scheduledFlow("fresh", "50 * * * *", "UTC", missed)
		l.runUntil(t, "2026-03-02T11:30:00Z", flow, fresh)
		assert.Equal(t, []string{"03-02 08:50 +0000", "03-02 09:00 +0000", "03-02 09:50 +0000", "03-02 10:00 +0000", "03-02 10:50 +0000", "03-02 11:00 +0000"}, l.times(t, "UTC"), missed)
	}
}

// TestClockJumpsAhead sets the clock ahead by three hours, as after a suspend.
func TestClockJumpsAhead(t *testing.T) {
	for missed, want := range map[string][]string{
		"skip": {"03-02 09:00 +0000", "03-02 13:00 +0000"},
		"once": {"03-02 09:00 +0000", "03-02 12:00 +0000", "03-02 13:00 +0000"},
	} {
		l := newSimulation(t, "2026-03-02T08:30:00Z")
		l.jump, l.by = parseTime(t, "2026-03-02T09:45:00Z"), 3*time.Hour
		l.runUntil(t, "2026-03-02T13:30:00Z", scheduledFlow("hourly", "0 * * * *", "UTC", missed))
		assert.Equal(t, want, l.times(t, "UTC"), missed)
	}
}

// TestClockWasWrong: a time noted by a clock that was a year ahead does not stop the schedule
// for a year.
func TestClockWasWrong(t *testing.T) {
	l := newSimulation(t, "2026-03-02T08:30:00Z")
	flow := scheduledFlow("daily", "0 9 * * *", "UTC", "skip")
	l.runUntil(t, "2026-03-02T08:31:00Z", flow)
	for name := range l.notes.all {
		l.notes.all[name] = json.RawMessage(`{"last": "2027-03-02T09:00:00Z"}`)
	}
	k := l.runUntil(t, "2026-03-03T10:00:00Z", flow)
	assert.Equal(t, []string{"03-02 09:00 +0000", "03-03 09:00 +0000"}, l.times(t, "UTC"))
	assert.Contains(t, k.log.String(), "the clock was wrong")
}

// TestRefusedSchedule: a start that the host refuses is retried until it is accepted.
func TestRefusedSchedule(t *testing.T) {
	l := newSimulation(t, "2026-03-02T08:30:00Z")
	l.host.err = errors.New("the disk is full")
	k := l.process(t, parseTime(t, "2026-03-02T10:00:00Z"), func(*fixture) {
		if l.clock.Now().After(parseTime(t, "2026-03-02T09:10:00Z")) {
			l.host.err = nil
		}
	}, scheduledFlow("daily", "0 9 * * *", "UTC", "skip"))
	assert.Equal(t, []string{"03-02 09:00 +0000"}, l.times(t, "UTC"))
	assert.Equal(t, 1, k.counts["daily schedule started"])
	assert.Greater(t, k.counts["daily schedule refused"], 100)
	assert.Contains(t, k.log.String(), "the disk is full")
}

// TestNotesFail: if the notes cannot be read nothing is started, because it may already have
// been.
func TestNotesFail(t *testing.T) {
	l := newSimulation(t, "2026-03-02T08:30:00Z")
	l.notes.fail = errors.New("the disk is gone")
	k := l.process(t, parseTime(t, "2026-03-03T10:00:00Z"), func(*fixture) {
		if l.clock.Now().After(parseTime(t, "2026-03-02T12:00:00Z")) {
			l.notes.fail = nil
		}
	}, scheduledFlow("daily", "0 9 * * *", "UTC", "once"))
	assert.Equal(t, []string{"03-03 09:00 +0000"}, l.times(t, "UTC"))
	assert.Contains(t, k.log.String(), "the disk is gone")
}

// TestReloadSchedules changes the flows of a running process.
func TestReloadSchedules(t *testing.T) {
	l := newSimulation(t, "2026-03-02T08:30:00Z")
	swapped := false
	l.process(t, parseTime(t, "2026-03-02T13:00:00Z"), func(k *fixture) {
		if !swapped && l.clock.Now().After(parseTime(t, "2026-03-02T10:30:00Z")) {
			swapped = true
			k.Set(compile(t, scheduledFlow("hourly", "0 * * * *", "UTC", "skip"), scheduledFlow("half", "30 * * * *", "UTC", "once")))
		}
	}, scheduledFlow("hourly", "0 * * * *", "UTC", "skip"), scheduledFlow("gone", "*/15 8 * * *", "UTC", "once"))
	assert.Equal(t, []string{
		"03-02 08:45 +0000", "03-02 09:00 +0000", "03-02 10:00 +0000", "03-02 11:00 +0000", "03-02 11:30 +0000", "03-02 12:00 +0000", "03-02 12:30 +0000", "03-02 13:00 +0000",
	}, l.times(t, "UTC"))
}

// TestTwoSchedules: a flow may have several schedules, also with the same times.
func TestTwoSchedules(t *testing.T) {
	l := newSimulation(t, "2026-03-02T08:30:00Z")
	l.runUntil(t, "2026-03-02T10:00:00Z", `flow: two
inputs: {at: {type: string, format: date-time}, n: {type: integer}}
triggers:
  - schedule: {cron: "0 9 * * *", inputs: {at: "${now()}", n: 1}}
  - schedule: {cron: "0 9 * * *", inputs: {at: "${now()}", n: 2}}
  - schedule: {cron: "0 10 * * *", timezone: Europe/Paris, inputs: {at: "${now()}", n: 3}}
steps: [{set: {x: "${inputs.at}", y: "${inputs.n}"}}]
`)
	assert.Len(t, l.host.runs, 3)
}

// TestFailedSchedule: a start whose inputs cannot be evaluated is not retried.
func TestFailedSchedule(t *testing.T) {
	l := newSimulation(t, "2026-03-02T08:30:00Z")
	k := l.runUntil(t, "2026-03-03T10:00:00Z", `flow: failing
inputs: {n: {type: integer}}
triggers: [{schedule: {cron: "0 9 * * *", inputs: {n: "${1 / (1 - size(settings.shop) / 9)}"}}}]
steps: [{set: {x: "${inputs.n}"}}]
`)
	assert.Empty(t, l.host.runs)
	assert.Equal(t, map[string]int{"failing schedule failed": 2}, k.counts)
	assert.Contains(t, k.log.String(), "event=2026-03-02T09:00:00Z")
}

func BenchmarkSchedules(b *testing.B) {
	l := newSimulation(b, "2026-03-02T08:30:00Z")
	var texts []string
	for i := range 1000 {
		texts = append(texts, scheduledFlow(fmt.Sprint("daily", i), fmt.Sprintf("%d %d * * *", i%60, i%24), "Europe/Paris", "skip"))
	}
	end := parseTime(b, "2026-03-02T08:30:00Z").Add(time.Duration(b.N) * time.Minute)
	ctx, stop := context.WithCancel(b.Context())
	k := newFixtureOn(b, l.host, trigger.Options{Clock: &processClock{simulation: l, end: end, stop: stop, each: func() {}}}, texts...)
	b.ReportAllocs()
	b.ResetTimer()
	_ = k.Run(ctx)
}
