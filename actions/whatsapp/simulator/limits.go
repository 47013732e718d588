package simulator

import (
	"cmp"
	"strings"
	"time"
)

// limits are what the platform allows, and how much of it is used.
type limits struct {
	throughput int // 0: none
	pairBurst  int
	people     int
	tiers      bool // people by the tier of the account
	management int
	window     string

	pairs   expiringMap[bucket]
	windows expiringMap[time.Time] // when somebody last wrote to a number
}

const (
	pairEvery  = 6 * time.Second
	windowSpan = 24 * time.Hour
)

// A pair is a number and a person that it writes to.
type pair struct{ number, person string }

func newLimits(l Limits, open bool) limits {
	pick := func(given, usual int) int {
		switch {
		case given < 0 || given == 0 && open:
			return 0
		case given == 0:
			return usual
		}
		return given
	}
	window := WindowFail
	if open {
		window = WindowOpen
	}
	return limits{throughput: pick(l.Throughput, 80), pairBurst: pick(l.PairBurst, 45), management: pick(l.Management, 5000),
		people: max(l.People, 0), tiers: l.People == 0 && !open, window: cmp.Or(l.Window, window)}
}

// A bucket is a token bucket.
type bucket struct {
	level float64
	at    time.Time
}

// take takes a token, unless the bucket is empty.
func (b *bucket) take(now time.Time, every time.Duration, size int) bool {
	if b.at.IsZero() {
		b.level, b.at = float64(size), now
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.level = min(float64(size), b.level+float64(passed)/float64(every))
		b.at = now
	}
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// An hourCounter counts in fixed windows of an hour.
type hourCounter struct {
	from  time.Time
	count int
}

func (w *hourCounter) take(now time.Time, most int) bool {
	if now.Sub(w.from) >= time.Hour {
		w.from, w.count = now, 0
	}
	w.count++
	return w.count <= most
}

// An expiringMap is a map by pair that drops old values.
type expiringMap[V any] struct {
	m    map[pair]V
	mark int // how many entries make it worth to look
}

func (s *expiringMap[V]) put(p pair, v V, old func(V) bool) {
	if s.m == nil {
		s.m, s.mark = map[pair]V{}, 4096
	}
	if len(s.m) >= s.mark {
		for k, v := range s.m {
			if old(v) {
				delete(s.m, k)
			}
		}
		s.mark = max(4096, 2*len(s.m))
	}
	s.m[p] = v
}

// pairAllows takes one message to somebody.
func (l *limits) pairAllows(p pair, now time.Time) bool {
	if l.pairBurst == 0 {
		return true
	}
	b := l.pairs.m[p]
	ok := b.take(now, pairEvery, l.pairBurst)
	full := time.Duration(l.pairBurst) * pairEvery
	l.pairs.put(p, b, func(b bucket) bool { return now.Sub(b.at) > full })
	return ok
}

// openWindow notes that somebody wrote to a number.
func (l *limits) openWindow(number, person string, now time.Time) {
	l.windows.put(pair{number, person}, now, func(at time.Time) bool { return now.Sub(at) > windowSpan })
}

// isOpen reports whether a person wrote to a number within 24 hours.
func (l *limits) isOpen(p pair, now time.Time) bool {
	at, ok := l.windows.m[p]
	return ok && now.Sub(at) < windowSpan
}

// A portfolio counts the people that its accounts write to.
type portfolio struct {
	people map[string]time.Time
	look   time.Time // when it is worth to look for people who do not count any more
}

// allows takes one more person in 24 hours.
func (p *portfolio) allows(person string, now time.Time, most int) bool {
	if at, known := p.people[person]; known && now.Sub(at) < windowSpan {
		return true
	}
	if len(p.people) >= most && !now.Before(p.look) {
		p.look = now.Add(windowSpan)
		for k, at := range p.people {
			if end := at.Add(windowSpan); !now.Before(end) {
				delete(p.people, k)
			} else if end.Before(p.look) {
				p.look = end
			}
		}
	}
	if len(p.people) >= most {
		return false
	}
	p.people[person] = now
	return true
}

// tier is how many people an account may write to in 24 hours, 0 for any number.
func tier(name string) int {
	switch strings.ToUpper(name) {
	case "TIER_50":
		return 50
	case "TIER_250":
		return 250
	case "TIER_1K":
		return 1000
	case "TIER_10K":
		return 10_000
	case "TIER_100K":
		return 100_000
	case "TIER_UNLIMITED":
		return 0
	}
	return 2000
}
