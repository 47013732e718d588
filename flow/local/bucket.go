package local

import (
	"math"
	"sync/atomic"
	"time"

	"facteur/flow/call"
)

const (
	maxSlowdown    = 64          // a bucket is at most so many times slower than its rate
	recovery       = time.Minute // from a slowdown until the full rate is back
	throttleWindow = time.Second // throttled answers within it count as one
)

// A bucket is a token bucket: it holds at most burst tokens, and gets one back per interval.
// Calls that find none wait.
type bucket struct {
	interval float64 // ns per token
	burst    float64
	fullAt   time.Time // when it has all its tokens again

	slowdown         float64 // factor on interval, as of slowedAt
	slowedAt         time.Time
	throttledAt      time.Time // when an answer last asked for a slowdown
	reportedSlowdown float64   // the slowdown that people were last told of …
	reportedAt       time.Time // … and when

	waiters        fairQueue[*waiter]
	grantScheduled bool // somebody will call grant at the next token
}

// A waiter is a run in the queue of a bucket, for the first of its calls that needs a token.
type waiter struct {
	run     *activeRun
	bucket  *bucket
	key     string
	granted atomic.Bool // it has left the queue with a token
}

func newBucket(l call.Limit) bucket {
	return bucket{interval: float64(time.Second) / l.Rate, burst: float64(max(l.Burst, 1)), slowdown: 1}
}

// take takes a token, if there is one.
func (b *bucket) take(now time.Time) bool {
	if b.nextFree(now).After(now) {
		return false
	}
	if b.fullAt.Before(now) {
		b.fullAt = now
	}
	b.fullAt = b.fullAt.Add(time.Duration(b.interval * b.currentSlowdown(now)))
	return true
}

// putBack puts back a token that was not used.
func (b *bucket) putBack(now time.Time) {
	b.fullAt = b.fullAt.Add(-time.Duration(b.interval * b.currentSlowdown(now)))
}

// nextFree returns when there is a token.
func (b *bucket) nextFree(now time.Time) time.Time { return b.freeAfter(0, now) }

// freeAfter returns when there is a token once so many more were taken.
func (b *bucket) freeAfter(taken int, now time.Time) time.Time {
	full := b.fullAt
	if full.Before(now) {
		full = now
	}
	interval := b.interval * b.currentSlowdown(now)
	wait := time.Duration(math.Ceil(interval * (float64(taken) + 1 - b.burst)))
	return full.Add(wait)
}

// idle tells whether the bucket is full, at its full rate, and has no waiters.
func (b *bucket) idle(now time.Time) bool {
	return b.waiters.len == 0 && !b.fullAt.After(now) && b.currentSlowdown(now) == 1
}

// throttle halves the rate and the tokens that are left. It does nothing and returns false
// within throttleWindow of the last time: calls made together complain together.
func (b *bucket) throttle(now time.Time) bool {
	if !b.throttledAt.IsZero() && now.Sub(b.throttledAt) < throttleWindow {
		return false
	}
	left := b.burst
	if b.fullAt.After(now) {
		left -= float64(b.fullAt.Sub(now)) / (b.interval * b.currentSlowdown(now))
	}
	left = min(max(left, 0), b.burst)
	b.slowdown = min(2*b.currentSlowdown(now), maxSlowdown)
	b.slowedAt, b.throttledAt = now, now
	b.fullAt = now.Add(time.Duration(b.interval * b.slowdown * (b.burst - left/2)))
	return true
}

// currentSlowdown returns the factor on interval now: after a slowdown the rate grows linearly
// until it is whole again.
func (b *bucket) currentSlowdown(now time.Time) float64 {
	if b.slowdown == 1 {
		return 1
	}
	grown := min(float64(now.Sub(b.slowedAt))/float64(recovery), 1)
	return 1 / (1/b.slowdown + (1-1/b.slowdown)*max(grown, 0))
}
