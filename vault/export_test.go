package vault

import (
	"sync"
	"time"
)

// A Clock is the time that a vault sees in a test.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock gives the vault a clock that only the test moves.
func NewClock(v *Vault) *Clock {
	c := &Clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	v.now = c.Now
	return c
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
