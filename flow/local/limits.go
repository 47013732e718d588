package local

import (
	"sync"
	"time"

	"facteur/flow/call"

	"golang.org/x/time/rate"
)

// limits are the buckets that calls pass before they are taken up.
type limits struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

// maxBuckets bounds the buckets in memory: past it, the full ones, which hold nothing
// back, are forgotten.
const maxBuckets = 100_000

// reserve takes a place in each bucket and returns how long to wait for it.
func (l *limits) reserve(wanted []call.Limit, now time.Time) time.Duration {
	if len(wanted) == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets = map[string]*rate.Limiter{}
	}
	if len(l.buckets) > maxBuckets {
		for key, b := range l.buckets {
			if b.TokensAt(now) >= float64(b.Burst()) {
				delete(l.buckets, key)
			}
		}
	}
	var wait time.Duration
	for _, w := range wanted {
		b := l.buckets[w.Key]
		if b == nil {
			b = rate.NewLimiter(rate.Limit(w.Rate), w.Burst)
			l.buckets[w.Key] = b
		}
		wait = max(wait, b.ReserveN(now, 1).DelayFrom(now))
	}
	return wait
}
