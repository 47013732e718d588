package host

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Virtual is a clock that jumps to the next time that somebody waits for. Functions on it run one
// at a time, from one Sleep to the next, so that a run is reproducible; sleeps overlap.
type Virtual struct {
	mu       sync.Mutex
	idle     *sync.Cond // running has become 0
	now      time.Time
	running  int // functions of Go that do not sleep
	sleepers []*sleeper
}

// A sleeper is a function that sleeps, or that AfterFunc has yet to run.
type sleeper struct {
	until time.Time
	ctx   context.Context
	wake  chan struct{}
	do    func() // of AfterFunc
}

// NewVirtual returns a virtual clock that starts at now.
func NewVirtual(now time.Time) *Virtual {
	v := &Virtual{now: now}
	v.idle = sync.NewCond(&v.mu)
	return v
}

// Now implements Clock.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Go runs f, and returns when it has ended or sleeps.
func (v *Virtual) Go(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running++
	go func() {
		defer v.stops()
		f()
	}()
	v.settle()
}

// Sleep sleeps in a function that Go runs. It returns early, with ctx.Err(), only once Interrupt
// notices that ctx has ended.
func (v *Virtual) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	v.mu.Lock()
	s := &sleeper{until: v.now.Add(d), ctx: ctx, wake: make(chan struct{})}
	v.sleepers = append(v.sleepers, s)
	v.mu.Unlock()
	v.stops()
	<-s.wake
	return ctx.Err()
}

// AfterFunc runs f after d, inside a Wait, which returns when f has ended or sleeps. stop prevents
// that, and tells whether it came in time.
func (v *Virtual) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := &sleeper{until: v.now.Add(max(d, 0)), ctx: context.Background(), do: f}
	v.sleepers = append(v.sleepers, s)
	return func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		i := slices.Index(v.sleepers, s)
		if i >= 0 {
			v.sleepers = slices.Delete(v.sleepers, i, i+1)
		}
		return i >= 0
	}
}

// Interrupt wakes the sleepers whose context has ended, and returns when they have ended or sleep
// again.
func (v *Virtual) Interrupt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		i := slices.IndexFunc(v.sleepers, func(s *sleeper) bool { return s.ctx.Err() != nil })
		if i < 0 {
			return
		}
		v.wake(i)
	}
}

// Wait implements Clock. Unless wake has a value, the time jumps to until or the end of the next
// Sleep, whichever is first. If there is neither, the error is a *StuckError.
func (v *Virtual) Wait(ctx context.Context, until time.Time, wake <-chan struct{}) error {
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	first := -1
	for i, s := range v.sleepers {
		if first < 0 || s.until.Before(v.sleepers[first].until) {
			first = i
		}
	}
	if first >= 0 && (until.IsZero() || !v.sleepers[first].until.After(until)) {
		v.advance(v.sleepers[first].until)
		v.wake(first)
		return nil
	}
	if until.IsZero() {
		return &StuckError{}
	}
	v.advance(until)
	return nil
}

func (v *Virtual) advance(to time.Time) {
	if to.After(v.now) {
		v.now = to
	}
}

// wake runs a sleeper until it has ended or sleeps again. The caller holds v.mu.
func (v *Virtual) wake(i int) {
	s := v.sleepers[i]
	v.sleepers = slices.Delete(v.sleepers, i, i+1)
	v.running++
	if s.do != nil {
		go func() {
			defer v.stops()
			s.do()
		}()
	} else {
		close(s.wake)
	}
	v.settle()
}

func (v *Virtual) settle() {
	for v.running > 0 {
		v.idle.Wait()
	}
}

func (v *Virtual) stops() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running--
	v.idle.Broadcast()
}
