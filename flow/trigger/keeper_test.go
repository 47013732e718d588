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

// A keeper is a host that keeps schedules itself. It refuses the first.
type keeper struct {
	fake
	asked  int
	loaded []time.Time
	kept   [][]host.Schedule
	told   func()
}

func (k *keeper) Schedule(_ context.Context, loaded time.Time, all []host.Schedule) error {
	defer k.told()
	if k.asked++; k.asked == 1 {
		return errors.New("the server is away")
	}
	k.loaded, k.kept = append(k.loaded, loaded), append(k.kept, all)
	return nil
}

// A host that keeps schedules is given them whenever flows were loaded, until it has taken
// them; what it meets is started as everywhere, once.
func TestKeeper(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	clock := host.NewVirtual(instant(t, "2026-03-02T08:30:00Z"))
	k := &keeper{}
	s := trigger.New(k, trigger.Options{Clock: clock})
	s.Set(compile(t, scheduled("daily", "0 9 * * *", "Europe/Paris", "once")))
	k.told = func() {
		switch len(k.kept) {
		case 1:
			s.Set(compile(t, scheduled("daily", "0 9 * * *", "Europe/Paris", "skip"), scheduled("hourly", "0 * * * *", "UTC", "skip")))
		case 2:
			stop()
		}
	}
	require.NoError(t, s.Run(ctx))
	require.Len(t, k.kept, 2)
	assert.Equal(t, 3, k.asked)
	assert.Equal(t, instant(t, "2026-03-02T08:30:00Z"), k.loaded[0], "when they were loaded, not when the host took them")
	require.Len(t, k.kept[1], 2)
	assert.Equal(t, k.kept[0][0].Name, k.kept[1][0].Name, "its times are the same")

	for range 2 {
		require.NoError(t, s.Meet(t.Context(), host.DueSchedule{Schedule: k.kept[1][0], At: instant(t, "2026-03-02T08:00:00Z"), Missed: 1}))
	}
	require.Len(t, k.runs, 1)
	assert.Equal(t, instant(t, "2026-03-02T08:00:00Z"), k.runs[0].inputs["at"])
	require.NoError(t, s.Meet(t.Context(), host.DueSchedule{Schedule: k.kept[1][0], Missed: 3}))
	require.Len(t, k.runs, 1)
	k.refuse = errors.New("the disk is full")
	assert.ErrorContains(t, s.Meet(t.Context(), host.DueSchedule{Schedule: k.kept[1][0], At: instant(t, "2026-03-03T08:00:00Z")}), "the disk is full")
}
