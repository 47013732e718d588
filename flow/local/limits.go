package local

import (
	"hash/maphash"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// limits are the buckets that calls pass before they are taken up. All runs of a host
// share them.
//
// There is one for each contact, and most of them are passed by one call in a while. So of
// a bucket that nobody queues for no more is kept than when it is full again, and by a hash
// of its key: 100,000 of them are 3 MB, into which the garbage collector need not look. That
// two keys share a hash happens to one in 10^14; they then share their places.
type limits struct {
	mu    sync.Mutex
	whole map[string]*bucket       // that somebody queued for, or that were slowed
	spent map[uint64]time.Duration // of others: when they are full again, after since
	slow  map[string]slowdown      // the buckets with a name that were slowed
	since time.Time
	seed  maphash.Seed
	room  int // for so many, before those that are full are forgotten
}

// leastRoom is how many buckets are kept at least before it is looked which ones are full:
// they hold nothing back.
const leastRoom = 100_000

// pass takes a place in a bucket, or a ticket for one.
func (l *limits) pass(w *ward, want call.Limit, now time.Time) (t *ticket) {
	if want.Rate <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom(now)
	if l.whole[want.Key] == nil {
		key := maphash.String(l.seed, want.Key)
		if b := l.unpack(want, key); b.take(now) {
			l.spent[key] = b.full.Sub(l.since)
			return nil
		}
	}
	b := l.bucket(want)
	if b.waiting == 0 && b.take(now) {
		return nil
	}
	t = &ticket{w: w, b: b, key: want.Key}
	b.enter(t)
	return t
}

// unpack returns a bucket of which only the time is kept.
func (l *limits) unpack(want call.Limit, key uint64) bucket {
	b := newBucket(want)
	if full, ok := l.spent[key]; ok {
		b.full = l.since.Add(full)
	}
	return b
}

// bucket returns a bucket that is kept whole from now on.
func (l *limits) bucket(want call.Limit) *bucket {
	b := l.whole[want.Key]
	if b == nil {
		key := maphash.String(l.seed, want.Key)
		unpacked := l.unpack(want, key)
		b = &unpacked
		l.whole[want.Key] = b
		delete(l.spent, key)
	}
	return b
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

// Backlog tells how many runs queue for a limit, such as the rate of a sender number, and how
// long the last of them waits for its turn if nothing changes. Those that queued when the host
// was opened count again from when their time came.
func (h *Host) Backlog() (runs int, wait time.Duration) { return h.limits.backlog(h.now()) }

func (l *limits) backlog(now time.Time) (runs int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.whole {
		if b.waiting > 0 {
			runs, wait = runs+b.waiting, max(wait, b.after(b.waiting-1, now).Sub(now))
		}
	}
	return runs, wait
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

// throttle slows a bucket down, because an answer says that it was too fast. What that
// comes to is news for people now and then.
func (l *limits) throttle(want call.Limit, now time.Time) (slowed host.Hold, news bool) {
	if want.Rate <= 0 {
		return slowed, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom(now)
	b := l.bucket(want)
	if !b.throttle(now) || want.Of == "" {
		return slowed, false
	}
	return l.slowed(want, b, now)
}

// makeRoom forgets the buckets that are full, once there are twice as many as there were
// when it did so last.
func (l *limits) makeRoom(now time.Time) {
	switch n := len(l.whole) + len(l.spent); {
	case l.spent == nil:
		l.whole, l.spent = map[string]*bucket{}, map[uint64]time.Duration{}
		l.since, l.seed = now, maphash.MakeSeed()
		l.room = leastRoom
		return
	case n < l.room:
		return
	}
	for key, b := range l.whole {
		if b.idle(now) {
			delete(l.whole, key)
		}
	}
	past := now.Sub(l.since)
	for key, full := range l.spent {
		if full <= past {
			delete(l.spent, key)
		}
	}
	l.room = max(leastRoom, 2*(len(l.whole)+len(l.spent)))
}

// waits tells for people whether a run queues for a bucket, why, and until when if nothing
// changes.
func (l *limits) waits(w *ward, want call.Limit, now time.Time) (reason string, until time.Time, waits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.whole[want.Key]
	if b == nil {
		return "", time.Time{}, false
	}
	for _, lane := range b.lanes {
		if lane.flow != w.flow {
			continue
		}
		for _, t := range lane.tickets {
			if t.w == w {
				return "it waits for its turn: " + b.why(want, now), b.after(b.ahead(t), now), true
			}
		}
	}
	return "", time.Time{}, false
}
