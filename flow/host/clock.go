package host

import (
	"context"
	"sync"
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

// Virtual is a clock that jumps to whatever is waited for.
type Virtual struct {
	mu  sync.Mutex
	now time.Time
}

// NewVirtual returns a virtual clock that shows a time.
func NewVirtual(now time.Time) *Virtual { return &Virtual{now: now} }

// Now implements Clock.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Advance moves the clock forward to a time, never back.
func (v *Virtual) Advance(to time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if to.After(v.now) {
		v.now = to
	}
}

// Wait implements Clock: unless there is a value on wake, the time jumps.
func (v *Virtual) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error {
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	if until.IsZero() {
		return &StuckError{}
	}
	v.Advance(until)
	return nil
}

type deadlineKey struct{}

// WithDeadline tells what runs in ctx by which time of a virtual clock it must end.
func WithDeadline(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, deadlineKey{}, at)
}

// Sleep passes time for what runs in ctx, up to its deadline; past it the error is
// context.DeadlineExceeded.
func (v *Virtual) Sleep(ctx context.Context, d time.Duration) error {
	until := v.Now().Add(d)
	if at, ok := ctx.Value(deadlineKey{}).(time.Time); ok && until.After(at) {
		v.Advance(at)
		return context.DeadlineExceeded
	}
	v.Advance(until)
	return ctx.Err()
}
