package temporal

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"facteur/flow/host"
)

const (
	maxBuckets = 100_000
	// shortWait is how long a worker waits for tokens. If it takes longer the call is held,
	// and the run waits.
	shortWait = 2 * time.Second
	// penalty is how long a bucket stays empty after an answer said that its limit was hit.
	penalty = 4 * time.Second
)

// buckets are token buckets for the limits that have no task queue, such as that of a sender
// and a recipient. Each worker has its own, so that several together may be too fast. The
// API's answer then says so, and the machine backs off.
type buckets struct {
	mu    sync.Mutex
	known map[string]*bucket
}

// A bucket is a token bucket. It is full at the time full; a token moves that by 1/rate
// seconds.
type bucket struct {
	full time.Time
	span time.Duration // from empty to full
}

// wait takes a token from each bucket. It waits for up to shortWait; if that is not enough it
// takes none, and returns how long it would have to wait.
func (b *buckets) wait(ctx context.Context, limits []rateLimit) time.Duration {
	for {
		wait := b.take(limits, time.Now())
		if wait <= 0 || wait > shortWait || !host.Sleep(ctx, wait) {
			return wait
		}
	}
}

// take takes a token from each bucket, or none, and returns how long to wait for them.
func (b *buckets) take(limits []rateLimit, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	price := func(l rateLimit) time.Duration { return time.Duration(float64(time.Second) / l.Rate) }
	limits = slices.DeleteFunc(slices.Clone(limits), func(l rateLimit) bool { return l.Rate <= 0 })
	for _, l := range limits {
		one := b.get(l, now)
		wait = max(wait, one.full.Add(price(l)-one.span).Sub(now))
	}
	if wait > 0 {
		return wait
	}
	for _, l := range limits {
		one := b.get(l, now)
		if one.full.Before(now) {
			one.full = now
		}
		one.full = one.full.Add(price(l))
	}
	return 0
}

func (b *buckets) get(l rateLimit, now time.Time) *bucket {
	if one := b.known[l.Key]; one != nil {
		return one
	}
	if len(b.known) >= maxBuckets {
		maps.DeleteFunc(b.known, func(_ string, one *bucket) bool { return one.full.Before(now) })
	}
	one := &bucket{full: now, span: time.Duration(float64(max(l.Burst, 1)) / l.Rate * float64(time.Second))}
	b.known[l.Key] = one
	return one
}

// throttle empties a bucket, because an answer says that the limit was hit.
func (b *buckets) throttle(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one := b.known[key]; one != nil {
		one.full = time.Now().Add(one.span + penalty)
	}
}
