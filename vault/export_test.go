package vault

import (
	"sync"
	"time"
)

// A Clock is the time that a vault sees in a test, and its alarm.
type Clock struct {
	mu    sync.Mutex
	now   time.Time
	alarm func()
	due   time.Time
}

// NewClock gives the vault a clock that only the test moves.
func NewClock(v *Vault) *Clock {
	c := &Clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	v.now = c.Now
	if v.hashicorp != nil {
		v.hashicorp.afterFunc = c.after
	}
	return c
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock without ringing the alarm.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *Clock) after(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm, c.due = f, c.now.Add(d)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alarm = nil
		return true
	}
}

// Ring runs what is due, and tells whether there was anything.
func (c *Clock) Ring() bool {
	c.mu.Lock()
	f := c.alarm
	if f == nil || c.now.Before(c.due) {
		c.mu.Unlock()
		return false
	}
	c.alarm = nil
	c.mu.Unlock()
	f()
	return true
}
