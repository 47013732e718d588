package host_test

import (
	"context"
	"testing"
	"time"

	"facteur/flow/host"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was put off happens in the order of its times, between the sleeps of others, and
// may put off more.
func TestVirtualAfterFunc(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	v := host.NewVirtual(start)
	var happened []string
	note := func(what string) { happened = append(happened, what+" at "+v.Now().Sub(start).String()) }
	v.AfterFunc(3*time.Second, func() {
		note("c")
		v.AfterFunc(time.Second, func() { note("d") })
	})
	v.AfterFunc(-time.Second, func() { note("a") })
	stop := v.AfterFunc(2*time.Second, func() { note("never") })
	v.Go(func() {
		require.NoError(t, v.Sleep(t.Context(), 2*time.Second))
		note("b")
	})
	assert.True(t, stop())
	assert.False(t, stop())

	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	require.NoError(t, v.Wait(t.Context(), time.Time{}, wake))
	assert.Empty(t, happened, "who has something to do does not wait")
	for range 4 {
		require.NoError(t, v.Wait(t.Context(), time.Time{}, wake))
	}
	assert.Equal(t, []string{"a at 0s", "b at 2s", "c at 3s", "d at 4s"}, happened)
	var stuck *host.StuckError
	assert.ErrorAs(t, v.Wait(context.Background(), time.Time{}, wake), &stuck)
}
