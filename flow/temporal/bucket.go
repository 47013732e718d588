package temporal

import (
	"context"
	"sync"
	"time"
)

const (
	maxBuckets = 100_000
	// shortWait is how long a worker waits itself for a place in a bucket. What takes
	// longer waits in its run.
	shortWait = 2 * time.Second
	// penalty is how long a bucket lets nothing through that an answer says was hit.
	penalty = 4 * time.Second
)

// buckets keep the limits that no task queue keeps, such as that of a sender and a
// recipient together: by this worker alone, so that several together may be too fast. The
// API's own answer then says so, and the machine waits.
type buckets struct {
	mu    sync.Mutex
	known map[string]*bucket
}

// A bucket is full at the time full; a place costs 1/rate seconds.
type bucket struct {
	full time.Time
	span time.Duration // from empty to full
}

// pass takes a place in each bucket. It waits for a short while; if that is not enough it
// takes none, and returns how long it would take.
func (b *buckets) pass(ctx context.Context, limits []rate) (wait time.Duration) {
	if len(limits) == 0 {
		return 0
	}
	for wait = b.take(limits, time.Now()); wait > 0 && wait <= shortWait; wait = b.take(limits, time.Now()) {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return wait
		}
	}
	return wait
}

func (b *buckets) take(limits []rate, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range limits {
		if l.Rate > 0 {
			one := b.at(l, now)
			price := time.Duration(float64(time.Second) / l.Rate)
			wait = max(wait, one.full.Add(price-one.span).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, l := range limits {
		if l.Rate > 0 {
			one := b.at(l, now)
			if one.full.Before(now) {
				one.full = now
			}
			one.full = one.full.Add(time.Duration(float64(time.Second) / l.Rate))
		}
	}
	return 0
}

func (b *buckets) at(l rate, now time.Time) *bucket {
	if one := b.known[l.Key]; one != nil {
		return one
	}
	if b.known == nil {
		b.known = map[string]*bucket{}
	}
	if len(b.known) >= maxBuckets {
		for key, one := range b.known {
			if one.full.Before(now) {
				delete(b.known, key)
			}
		}
	}
	one := &bucket{full: now, span: time.Duration(float64(max(l.Burst, 1)) / l.Rate * float64(time.Second))}
	b.known[l.Key] = one
	return one
}

// throttle empties a bucket, because an answer says that it was too fast.
func (b *buckets) throttle(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one := b.known[key]; one != nil {
		one.full = time.Now().Add(one.span + penalty)
	}
}
