package local

import (
	"hash/maphash"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// limits are the token buckets that calls pass before they are taken up, shared by all runs of
// a host.
//
// There is one for each contact, and most see one call in a while. So of a bucket that has
// neither waiters nor a slowdown only the time at which it is full again is kept, under a hash
// of its key: 100,000 of them take 3 MB, which the garbage collector need not scan. Two keys
// share a hash once in 10^14 times; they then share a bucket.
type limits struct {
	mu        sync.Mutex
	buckets   map[string]*bucket       // with waiters or a slowdown, now or since the last sweep
	fullAt    map[uint64]time.Duration // of the others, by hash: when they are full again, since epoch
	slowdowns map[string]slowdown      // of limits with a name
	epoch     time.Time
	seed      maphash.Seed
	sweepAt   int // the number of buckets at which those that are full are dropped
}

// minSweep is the least number of buckets for which a sweep is worth while.
const minSweep = 100_000

// acquire takes a token. If there is none it returns a waiter in the bucket's queue.
func (l *limits) acquire(run *activeRun, want call.Limit, now time.Time) (w *waiter) {
	if want.Rate <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	if l.buckets[want.Key] == nil {
		key := maphash.String(l.seed, want.Key)
		if b := l.loadBucket(want, key); b.take(now) {
			l.fullAt[key] = b.fullAt.Sub(l.epoch)
			return nil
		}
	}
	b := l.bucket(want)
	if b.waiters.len == 0 && b.take(now) {
		return nil
	}
	w = &waiter{run: run, bucket: b, key: want.Key}
	b.waiters.push(run.flow, w)
	return w
}

// loadBucket returns the bucket of a limit of which at most fullAt is kept.
func (l *limits) loadBucket(want call.Limit, key uint64) bucket {
	b := newBucket(want)
	if full, ok := l.fullAt[key]; ok {
		b.fullAt = l.epoch.Add(full)
	}
	return b
}

// bucket returns the bucket of a limit, and keeps all of it from now on.
func (l *limits) bucket(want call.Limit) *bucket {
	b := l.buckets[want.Key]
	if b == nil {
		key := maphash.String(l.seed, want.Key)
		loaded := l.loadBucket(want, key)
		b = &loaded
		l.buckets[want.Key] = b
		delete(l.fullAt, key)
	}
	return b
}

// scheduleGrant returns when a bucket with waiters has its next token. mine says that the
// caller is the one to call grant then.
func (l *limits) scheduleGrant(b *bucket, now time.Time) (at time.Time, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.grantScheduled || b.waiters.len == 0 {
		return time.Time{}, false
	}
	b.grantScheduled = true
	return b.nextFree(now), true
}

// grant gives the tokens that are there to the first waiters.
func (l *limits) grant(b *bucket, now time.Time) (granted []*waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.grantScheduled = false
	for b.waiters.len > 0 && b.take(now) {
		w := b.waiters.pop()
		w.granted.Store(true)
		granted = append(granted, w)
	}
	return granted
}

// Backlog returns how many runs wait for a limit, such as the rate of a sender number, and how
// long the last of them will wait if nothing changes. Runs that were parked before the host was
// opened count once they have queued again.
func (h *Host) Backlog() (runs int, wait time.Duration) { return h.limits.backlog(h.now()) }

func (l *limits) backlog(now time.Time) (runs int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.buckets {
		if b.waiters.len > 0 {
			runs, wait = runs+b.waiters.len, max(wait, b.freeAfter(b.waiters.len-1, now).Sub(now))
		}
	}
	return runs, wait
}

// release removes a waiter, or puts the token back that it was granted.
func (l *limits) release(w *waiter, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.bucket.waiters.remove(w.run.flow, w) {
		w.bucket.putBack(now)
	}
}

// expectedGrant returns when a waiter will get its token if nothing changes.
func (l *limits) expectedGrant(w *waiter, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead := w.bucket.waiters.ahead(w.run.flow, w)
	if ahead < 0 {
		return now
	}
	return w.bucket.freeAfter(ahead, now)
}

// nextFree returns when a bucket has a token.
func (l *limits) nextFree(b *bucket, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return b.nextFree(now)
}

// throttle slows a bucket down because the API answered that it was too fast. report says that
// people should be told of it.
func (l *limits) throttle(want call.Limit, now time.Time) (slowed host.Hold, report bool) {
	if want.Rate <= 0 {
		return slowed, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.bucket(want)
	if !b.throttle(now) || want.Of == "" {
		return slowed, false
	}
	return l.noteSlowdown(want, b, now)
}

// sweep drops the buckets that are full, once there are twice as many as the last sweep left.
func (l *limits) sweep(now time.Time) {
	switch n := len(l.buckets) + len(l.fullAt); {
	case l.fullAt == nil:
		l.buckets, l.fullAt = map[string]*bucket{}, map[uint64]time.Duration{}
		l.epoch, l.seed = now, maphash.MakeSeed()
		l.sweepAt = minSweep
		return
	case n < l.sweepAt:
		return
	}
	for key, b := range l.buckets {
		if b.idle(now) {
			delete(l.buckets, key)
		}
	}
	past := now.Sub(l.epoch)
	for key, full := range l.fullAt {
		if full <= past {
			delete(l.fullAt, key)
		}
	}
	l.sweepAt = max(minSweep, 2*(len(l.buckets)+len(l.fullAt)))
}

// explainWait tells people whether a run waits for a bucket, why, and until when if nothing
// changes.
func (l *limits) explainWait(run *activeRun, want call.Limit, now time.Time) (reason string, until time.Time, waits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[want.Key]
	if b == nil {
		return "", time.Time{}, false
	}
	for _, w := range b.waiters.of(run.flow) {
		if w.run == run {
			return "it waits for its turn: " + b.describe(want, now), b.freeAfter(b.waiters.ahead(run.flow, w), now), true
		}
	}
	return "", time.Time{}, false
}
