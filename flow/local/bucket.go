package local

import (
	"math"
	"sync/atomic"
	"time"

	"facteur/flow/call"
)

const (
	slowest  = 64          // how much slower than its rate a bucket gets at most
	recovery = time.Minute // until a bucket that was slowed has its full rate again
	together = time.Second // answers within it complain about the same thing
)

// A bucket holds as many places as its burst, and gets one back after each gap. Those who
// find none queue for one, flow by flow, and the flows take turns.
type bucket struct {
	gap   float64 // in ns
	burst float64
	full  time.Time // when all places are free again

	slow    float64 // by how much the gap was stretched …
	slowed  time.Time
	because time.Time // … and when an answer last asked for it
	told    float64   // by how much it was stretched when somebody was told …
	toldAt  time.Time // … which was then

	lanes   []*lane // in the order of their turns, none empty
	waiting int     // tickets in all of them
	armed   bool    // somebody comes when the next place is free
}

// A lane is the tickets of one flow, in order.
type lane struct {
	flow    string
	tickets []*ticket
}

// A ticket is a place in the queue of a bucket.
type ticket struct {
	w       *ward
	b       *bucket
	key     string
	granted atomic.Bool // it has left the queue, and has a place in the bucket
}

func newBucket(l call.Limit) bucket {
	return bucket{gap: float64(time.Second) / l.Rate, burst: float64(max(l.Burst, 1)), slow: 1}
}

// take takes a place, if one is free.
func (b *bucket) take(now time.Time) bool {
	if b.next(now).After(now) {
		return false
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(time.Duration(b.gap * b.slowness(now)))
	return true
}

// giveBack frees a place that was not used.
func (b *bucket) giveBack(now time.Time) {
	b.full = b.full.Add(-time.Duration(b.gap * b.slowness(now)))
}

// next returns when a place is free.
func (b *bucket) next(now time.Time) time.Time { return b.after(0, now) }

// after returns when a place is free, once so many are taken.
func (b *bucket) after(taken int, now time.Time) time.Time {
	full := b.full
	if full.Before(now) {
		full = now
	}
	gap := b.gap * b.slowness(now)
	wait := time.Duration(math.Ceil(gap * (float64(taken) + 1 - b.burst)))
	return full.Add(wait)
}

// idle tells whether the bucket holds nobody back.
func (b *bucket) idle(now time.Time) bool {
	return b.waiting == 0 && !b.full.After(now) && b.slowness(now) == 1
}

// enter puts a ticket at the end of its flow's lane.
func (b *bucket) enter(t *ticket) {
	b.waiting++
	for _, l := range b.lanes {
		if l.flow == t.w.flow {
			l.tickets = append(l.tickets, t)
			return
		}
	}
	b.lanes = append(b.lanes, &lane{t.w.flow, []*ticket{t}})
}

// ahead counts the tickets that come before one, -1 when it does not queue.
func (b *bucket) ahead(t *ticket) int {
	rank, mine := 0, -1
	for i, l := range b.lanes {
		if l.flow != t.w.flow {
			continue
		}
		mine = i
		for rank < len(l.tickets) && l.tickets[len(l.tickets)-1-rank] != t { // it is often the last
			rank++
		}
		rank = len(l.tickets) - 1 - rank
	}
	if mine < 0 || rank < 0 {
		return -1
	}
	n := rank
	for i, l := range b.lanes {
		switch {
		case i < mine:
			n += min(len(l.tickets), rank+1)
		case i > mine:
			n += min(len(l.tickets), rank)
		}
	}
	return n
}

// pop takes the ticket whose turn it is out of the queue.
func (b *bucket) pop() *ticket {
	first := b.lanes[0]
	t := first.tickets[0]
	first.tickets[0] = nil
	first.tickets = first.tickets[1:]
	copy(b.lanes, b.lanes[1:])
	if b.lanes[len(b.lanes)-1] = first; len(first.tickets) == 0 {
		b.lanes[len(b.lanes)-1] = nil
		b.lanes = b.lanes[:len(b.lanes)-1]
	}
	b.waiting--
	return t
}

// drop takes a ticket out of the queue, and tells whether it was there.
func (b *bucket) drop(t *ticket) bool {
	for i, l := range b.lanes {
		if l.flow != t.w.flow {
			continue
		}
		for k, other := range l.tickets {
			if other != t {
				continue
			}
			l.tickets = append(l.tickets[:k], l.tickets[k+1:]...)
			if len(l.tickets) == 0 {
				b.lanes = append(b.lanes[:i], b.lanes[i+1:]...)
			}
			b.waiting--
			return true
		}
	}
	return false
}

// throttle halves the rate, and what is left in the bucket. Calls that were under way
// together count as one, then false is returned.
func (b *bucket) throttle(now time.Time) bool {
	if !b.because.IsZero() && now.Sub(b.because) < together {
		return false
	}
	left := b.burst
	if b.full.After(now) {
		left -= float64(b.full.Sub(now)) / (b.gap * b.slowness(now))
	}
	left = min(max(left, 0), b.burst)
	b.slow = min(2*b.slowness(now), slowest)
	b.slowed, b.because = now, now
	b.full = now.Add(time.Duration(b.gap * b.slow * (b.burst - left/2)))
	return true
}

// slowness is by how much the gap is stretched now: after a complaint the rate grows evenly
// until it is whole again.
func (b *bucket) slowness(now time.Time) float64 {
	if b.slow == 1 {
		return 1
	}
	grown := min(float64(now.Sub(b.slowed))/float64(recovery), 1)
	return 1 / (1/b.slow + (1-1/b.slow)*max(grown, 0))
}
