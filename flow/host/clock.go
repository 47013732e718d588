package host

import (
	"context"
	"time"
)

// A Clock is a host's source of time.
type Clock interface {
	Now() time.Time
	// Wait returns at until, when wake receives, or with ctx.Err() when ctx ends, whichever is
	// first. The zero until never comes.
	Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error
}

// System is the system clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now() }

// Wait implements Clock.
func (System) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sleep waits on the system clock, and returns false if ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	return System{}.Wait(ctx, time.Now().Add(d), nil) == nil
}
