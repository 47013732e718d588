package trigger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/trigger"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A schedulingHost is a host.Scheduler whose first call of Schedule fails.
type schedulingHost struct {
	fakeHost
	asked      int
	loaded     []time.Time
	given      [][]host.Schedule
	onSchedule func()
}

func (k *schedulingHost) Schedule(_ context.Context, loaded time.Time, all []host.Schedule) error {
	defer k.onSchedule()
	if k.asked++; k.asked == 1 {
		return errors.New("the server is away")
	}
	k.loaded, k.given = append(k.loaded, loaded), append(k.given, all)
	return nil
}

// A host.Scheduler gets the schedules whenever flows are loaded, and again after an error. Meet
// starts the run of a scheduled time once.
func TestSchedulingHost(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	clock := host.NewVirtual(parseTime(t, "2026-03-02T08:30:00Z"))
	k := &schedulingHost{}
	s := trigger.New(k, trigger.Options{Clock: clock})
	s.Set(compile(t, scheduledFlow("daily", "0 9 * * *", "Europe/Paris", "once")))
	k.onSchedule = func() {
		switch len(k.given) {
		case 1:
			s.Set(compile(t, scheduledFlow("daily", "0 9 * * *", "Europe/Paris", "skip"), scheduledFlow("hourly", "0 * * * *", "UTC", "skip")))
		case 2:
			stop()
		}
	}
	require.NoError(t, s.Run(ctx))
	require.Len(t, k.given, 2)
	assert.Equal(t, 3, k.asked)
	assert.Equal(t, parseTime(t, "2026-03-02T08:30:00Z"), k.loaded[0], "when they were loaded, not when the host took them")
	require.Len(t, k.given[1], 2)
	assert.Equal(t, k.given[0][0].Name, k.given[1][0].Name, "its times are the same")

	for range 2 {
		require.NoError(t, s.Meet(t.Context(), host.DueSchedule{Schedule: k.given[1][0], At: parseTime(t, "2026-03-02T08:00:00Z"), Missed: 1}))
	}
	require.Len(t, k.runs, 1)
	assert.Equal(t, parseTime(t, "2026-03-02T08:00:00Z"), k.runs[0].inputs["at"])
	require.NoError(t, s.Meet(t.Context(), host.DueSchedule{Schedule: k.given[1][0], Missed: 3}))
	require.Len(t, k.runs, 1)
	k.err = errors.New("the disk is full")
	assert.ErrorContains(t, s.Meet(t.Context(), host.DueSchedule{Schedule: k.given[1][0], At: parseTime(t, "2026-03-03T08:00:00Z")}), "the disk is full")
}
