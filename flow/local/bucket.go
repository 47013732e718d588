package local

import (
	"math"
	"slices"
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
// Calls that find none wait in queues, one per flow, which take turns.
type bucket struct {
	interval float64 // ns per token
	burst    float64
	fullAt   time.Time // when it has all its tokens again

	slowdown         float64 // factor on interval, as of slowedAt
	slowedAt         time.Time
	throttledAt      time.Time // when an answer last asked for a slowdown
	reportedSlowdown float64   // the slowdown that people were last told of …
	reportedAt       time.Time // … and when

	queues         []*waitQueue // in the order of their turns; none is empty
	waiting        int          // waiters in all queues
	grantScheduled bool         // somebody will call grant at the next token
}

// A waitQueue is the waiters of one flow, in order.
type waitQueue struct {
	flow    string
	waiters []*waiter
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
	return b.waiting == 0 && !b.fullAt.After(now) && b.currentSlowdown(now) == 1
}

// queueOf returns the index of a flow's queue, -1 if there is none.
func (b *bucket) queueOf(flow string) int {
	return slices.IndexFunc(b.queues, func(q *waitQueue) bool { return q.flow == flow })
}

// enqueue appends a waiter to its flow's queue.
func (b *bucket) enqueue(w *waiter) {
	b.waiting++
	if i := b.queueOf(w.run.flow); i >= 0 {
		b.queues[i].waiters = append(b.queues[i].waiters, w)
		return
	}
	b.queues = append(b.queues, &waitQueue{w.run.flow, []*waiter{w}})
}

// position returns how many waiters are granted a token before w, -1 if w is not queued.
func (b *bucket) position(w *waiter) int {
	own := b.queueOf(w.run.flow)
	if own < 0 {
		return -1
	}
	rank := len(b.queues[own].waiters) - 1
	for rank >= 0 && b.queues[own].waiters[rank] != w { // from the end: it is often the last
		rank--
	}
	if rank < 0 {
		return -1
	}
	n := rank
	for i, q := range b.queues {
		switch {
		case i < own:
			n += min(len(q.waiters), rank+1)
		case i > own:
			n += min(len(q.waiters), rank)
		}
	}
	return n
}

// pop removes and returns the waiter whose turn it is.
func (b *bucket) pop() *waiter {
	first := b.queues[0]
	w := first.waiters[0]
	first.waiters[0] = nil
	first.waiters = first.waiters[1:]
	copy(b.queues, b.queues[1:])
	if b.queues[len(b.queues)-1] = first; len(first.waiters) == 0 {
		b.queues[len(b.queues)-1] = nil
		b.queues = b.queues[:len(b.queues)-1]
	}
	b.waiting--
	return w
}

// remove removes a waiter from its queue, and tells whether it was there.
func (b *bucket) remove(w *waiter) bool {
	i := b.queueOf(w.run.flow)
	if i < 0 {
		return false
	}
	q := b.queues[i]
	k := slices.Index(q.waiters, w)
	if k < 0 {
		return false
	}
	if q.waiters = slices.Delete(q.waiters, k, k+1); len(q.waiters) == 0 {
		b.queues = slices.Delete(b.queues, i, i+1)
	}
	b.waiting--
	return true
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
