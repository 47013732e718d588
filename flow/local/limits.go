package local

import (
	"sync"
	"time"

	"facteur/flow/call"
)

// limits are the buckets that calls pass before they are taken up. All runs of a host
// share them.
type limits struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

const (
	// maxBuckets bounds the buckets in memory: past it, the full ones, which hold
	// nothing back, are forgotten.
	maxBuckets = 100_000

	slowest  = 64          // how much slower than its rate a bucket gets at most
	recovery = time.Minute // until a bucket that was slowed has its full rate again
	together = time.Second // answers within it complain about the same thing
)

// reserve takes the next place in a bucket and returns how long to wait for it.
func (l *limits) reserve(want call.Limit, now time.Time) time.Duration {
	if want.Rate <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[want.Key]
	if b == nil {
		l.makeRoom(now)
		b = &bucket{gap: float64(time.Second) / want.Rate, burst: float64(max(want.Burst, 1)), slow: 1}
		l.buckets[want.Key] = b
	}
	return b.reserve(now)
}

// throttle slows a bucket down, because an answer says that it was too fast.
func (l *limits) throttle(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[key]; b != nil {
		b.throttle(now)
	}
}

func (l *limits) makeRoom(now time.Time) {
	if l.buckets == nil {
		l.buckets = map[string]*bucket{}
	}
	if len(l.buckets) < maxBuckets {
		return
	}
	for key, b := range l.buckets {
		if !b.full.After(now) && b.slowness(now) == 1 {
			delete(l.buckets, key)
		}
	}
}

// A bucket holds as many places as its burst, and gets one back after each gap.
type bucket struct {
	gap   float64 // in ns
	burst float64
	full  time.Time // when all places are free again

	slow    float64 // by how much the gap was stretched …
	slowed  time.Time
	because time.Time // … and when an answer last asked for it
}

func (b *bucket) reserve(now time.Time) time.Duration {
	if b.full.Before(now) {
		b.full = now
	}
	gap := b.gap * b.slowness(now)
	b.full = b.full.Add(time.Duration(gap))
	return max(0, b.full.Sub(now)-time.Duration(gap*b.burst))
}

// throttle halves the rate, and what is left in the bucket. Calls that were under way
// together count as one.
func (b *bucket) throttle(now time.Time) {
	if !b.because.IsZero() && now.Sub(b.because) < together {
		return
	}
	left := b.burst - float64(b.full.Sub(now))/(b.gap*b.slowness(now))
	left = min(max(left, 0), b.burst)
	b.slow = min(2*b.slowness(now), slowest)
	b.slowed, b.because = now, now
	b.full = now.Add(time.Duration(b.gap * b.slow * (b.burst - left/2)))
}

// slowness is by how much the gap is stretched now: the less, the longer ago the last
// complaint is.
func (b *bucket) slowness(now time.Time) float64 {
	left := 1 - float64(now.Sub(b.slowed))/float64(recovery)
	if b.slow == 1 || left <= 0 {
		return 1
	}
	return 1 + (b.slow-1)*left
}
