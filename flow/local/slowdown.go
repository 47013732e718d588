package local

import (
	"fmt"
	"math"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// A slowdown is a limit with a name that answers slowed down.
type slowdown struct {
	limit call.Limit
	since time.Time
}

// slowed notes that a bucket was slowed down, and tells whether that is news: while answers
// go on to complain it is when it has become much slower than was told, and once a minute.
func (l *limits) slowed(limit call.Limit, b *bucket, now time.Time) (shown host.Hold, news bool) {
	s, ok := l.slow[limit.Key]
	fresh := b.slow == 2 // it was as fast as it might be
	if !ok || fresh {
		s = slowdown{limit, now}
	}
	if fresh || now.Sub(b.toldAt) > recovery {
		b.told = 1
	}
	if l.slow == nil {
		l.slow = map[string]slowdown{}
	}
	l.slow[limit.Key] = s
	if news = b.slow >= 1.5*b.told; news {
		b.told, b.toldAt = b.slow, now
	}
	return s.hold(b, now), news
}

// slowdowns are the limits with a name that are not as fast as they might be.
func (l *limits) slowdowns(now time.Time) (all []host.Hold) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, s := range l.slow {
		if b := l.whole[key]; b != nil && b.slowness(now) > 1 {
			all = append(all, s.hold(b, now))
		} else {
			delete(l.slow, key)
		}
	}
	return all
}

func (s slowdown) hold(b *bucket, now time.Time) host.Hold {
	return host.Hold{
		Scope: host.Limit, Name: s.limit.Name(), Since: s.since, Auto: true, Calls: b.waiting, Until: b.slowed.Add(recovery),
		Reason: b.why(s.limit, now),
	}
}

// why tells for people why a limit is what it is now.
func (b *bucket) why(limit call.Limit, now time.Time) string {
	slow := b.slowness(now)
	if slow == 1 {
		return "the limit is " + often(limit.Rate)
	}
	what := "it"
	if limit.Of != "" {
		what = "the " + limit.Name()
	}
	return fmt.Sprintf("answers said that %s is too fast: %s now, growing back to %s by %s UTC",
		what, often(limit.Rate/slow), often(limit.Rate), b.slowed.Add(recovery).UTC().Format(time.TimeOnly))
}

// often tells for people how often something may be.
func often(rate float64) string {
	if rate < 1 {
		return fmt.Sprintf("one in %v", time.Duration(float64(time.Second)/rate).Round(time.Millisecond))
	}
	return fmt.Sprintf("%v a second", math.Round(100*rate)/100)
}
