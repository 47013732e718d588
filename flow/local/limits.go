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

// maxBuckets bounds the buckets in memory: past it, the full ones, which hold nothing
// back, are forgotten.
const maxBuckets = 100_000

// pass takes a place in a bucket, or a ticket for one.
func (l *limits) pass(w *ward, want call.Limit, now time.Time) (t *ticket) {
	if want.Rate <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[want.Key]
	if b == nil {
		l.makeRoom(now)
		b = newBucket(want)
		l.buckets[want.Key] = b
	}
	if b.waiting == 0 && b.take(now) {
		return nil
	}
	t = &ticket{w: w, b: b, key: want.Key}
	b.enter(t)
	return t
}

// arm tells when the next place of a bucket is free that somebody queues for, and whether
// whoever asks is the one to come back then, with grant.
func (l *limits) arm(b *bucket, now time.Time) (at time.Time, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.armed || b.waiting == 0 {
		return time.Time{}, false
	}
	b.armed = true
	return b.next(now), true
}

// grant gives the free places of a bucket to those whose turn it is.
func (l *limits) grant(b *bucket, now time.Time) (granted []*ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.armed = false
	for b.waiting > 0 && b.take(now) {
		t := b.pop()
		t.granted.Store(true)
		granted = append(granted, t)
	}
	return granted
}

// leave gives up a ticket, or the place that it got.
func (l *limits) leave(t *ticket, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !t.b.drop(t) {
		t.b.giveBack(now)
	}
}

// until tells when a ticket gets its place if nothing changes.
func (l *limits) until(t *ticket, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead := t.b.ahead(t)
	if ahead < 0 {
		return now
	}
	return t.b.after(ahead, now)
}

// next tells when a bucket has a free place.
func (l *limits) next(b *bucket, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return b.next(now)
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
		if b.idle(now) {
			delete(l.buckets, key)
		}
	}
}

// waits tells whether a run queues for a bucket, and until when if nothing changes.
func (l *limits) waits(w *ward, key string, now time.Time) (until time.Time, waits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		return time.Time{}, false
	}
	for _, lane := range b.lanes {
		if lane.flow != w.flow {
			continue
		}
		for _, t := range lane.tickets {
			if t.w == w {
				return b.after(b.ahead(t), now), true
			}
		}
	}
	return time.Time{}, false
}
