package simulator

import (
	"cmp"
	"maps"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// limits are what the platform allows, and how much of it is used.
type limits struct {
	throughput int // 0: none
	pairBurst  int
	people     int
	tiers      bool // people by the tier of the account
	management int
	window     string

	pairs   expiringMap[*rate.Limiter]
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
		maps.DeleteFunc(s.m, func(_ pair, v V) bool { return old(v) })
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
	if b == nil {
		b = rate.NewLimiter(rate.Every(pairEvery), l.pairBurst)
		l.pairs.put(p, b, func(b *rate.Limiter) bool { return b.TokensAt(now) >= float64(l.pairBurst) })
	}
	return b.AllowN(now, 1)
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

// A portfolio has the people whom its accounts wrote to first within 24 hours.
type portfolio struct {
	first map[string]time.Time // when, by person
	order []string             // of the people, oldest first
}

// allows takes one more person in 24 hours.
func (p *portfolio) allows(person string, now time.Time, most int) bool {
	for len(p.order) > 0 && now.Sub(p.first[p.order[0]]) >= windowSpan {
		delete(p.first, p.order[0])
		p.order = p.order[1:]
	}
	if _, known := p.first[person]; known {
		return true
	}
	if len(p.order) >= most {
		return false
	}
	p.first[person] = now
	p.order = append(p.order, person)
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
