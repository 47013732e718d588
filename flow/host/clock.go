package host

import (
	"context"
	"time"
)

// A Clock is the time that a host lives by.
type Clock interface {
	Now() time.Time
	// Wait returns at a time, at a value on wake, or when ctx ends with its error,
	// whichever is first. The zero time never comes.
	Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error
}

// System is the machine's clock.
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

// Sleep waits by the machine's clock, and tells whether ctx goes on.
func Sleep(ctx context.Context, d time.Duration) bool {
	return System{}.Wait(ctx, time.Now().Add(d), nil) == nil
}
