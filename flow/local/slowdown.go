package local

import (
	"fmt"
	"math"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// A slowdown is a limit with a name that throttled answers have slowed down.
type slowdown struct {
	limit call.Limit
	since time.Time
}

// noteSlowdown records that a bucket was slowed down. report says whether to tell people: when it
// has become much slower than they were told, and once per recovery.
func (l *limits) noteSlowdown(limit call.Limit, b *bucket, now time.Time) (shown host.Hold, report bool) {
	s, ok := l.slowdowns[limit.Key]
	fresh := b.slowdown == 2 // it had its full rate before
	if !ok || fresh {
		s = slowdown{limit, now}
	}
	if fresh || now.Sub(b.reportedAt) > recovery {
		b.reportedSlowdown = 1
	}
	if l.slowdowns == nil {
		l.slowdowns = map[string]slowdown{}
	}
	l.slowdowns[limit.Key] = s
	if report = b.slowdown >= 1.5*b.reportedSlowdown; report {
		b.reportedSlowdown, b.reportedAt = b.slowdown, now
	}
	return s.hold(b, now), report
}

// activeSlowdowns returns the limits with a name that are below their full rate.
func (l *limits) activeSlowdowns(now time.Time) (all []host.Hold) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, s := range l.slowdowns {
		if b := l.buckets[key]; b != nil && b.currentSlowdown(now) > 1 {
			all = append(all, s.hold(b, now))
		} else {
			delete(l.slowdowns, key)
		}
	}
	return all
}

func (s slowdown) hold(b *bucket, now time.Time) host.Hold {
	return host.Hold{
		Scope: host.Limit, Name: s.limit.Name(), Since: s.since, Auto: true, Calls: b.waiters.len, Until: b.slowedAt.Add(recovery),
		Reason: b.describe(s.limit, now),
	}
}

// describe tells people the current rate of a limit, and why.
func (b *bucket) describe(limit call.Limit, now time.Time) string {
	slow := b.currentSlowdown(now)
	if slow == 1 {
		return "the limit is " + formatRate(limit.Rate)
	}
	what := "it"
	if limit.Of != "" {
		what = "the " + limit.Name()
	}
	return fmt.Sprintf("answers said that %s is too fast: %s now, growing back to %s by %s UTC",
		what, formatRate(limit.Rate/slow), formatRate(limit.Rate), b.slowedAt.Add(recovery).UTC().Format(time.TimeOnly))
}

// formatRate formats a rate for people.
func formatRate(rate float64) string {
	if rate < 1 {
		return fmt.Sprintf("one every %v", time.Duration(float64(time.Second)/rate).Round(time.Millisecond))
	}
	return fmt.Sprintf("%v a second", math.Round(100*rate)/100)
}
