package local

import (
	"container/heap"
	"time"

	"facteur/flow/machine"
)

// An agenda is what is to be done at which time, in order.
type agenda struct {
	heap entries
	seq  int
}

type entry struct {
	at  time.Time
	seq int
	job
}

// A job is done when its time comes, if it is still wanted.
type job interface {
	wanted() bool
	do() error
}

func (a *agenda) add(at time.Time, j job) {
	a.seq++
	a.heap = append(a.heap, entry{at, a.seq, j})
	heap.Fix(&a.heap, len(a.heap)-1)
}

func (a *agenda) drop() job {
	last := len(a.heap) - 1
	first := a.heap[0].job
	a.heap[0], a.heap[last] = a.heap[last], entry{}
	a.heap = a.heap[:last]
	if last > 0 {
		heap.Fix(&a.heap, 0)
	}
	return first
}

// next returns the time of the first entry that is still wanted, or the zero time.
func (a *agenda) next() time.Time {
	for len(a.heap) > 0 {
		if a.heap[0].wanted() {
			return a.heap[0].at
		}
		a.drop()
	}
	return time.Time{}
}

// pop takes what is to be done by a time, nil when there is nothing.
func (a *agenda) pop(now time.Time) job {
	if at := a.next(); at.IsZero() || at.After(now) {
		return nil
	}
	return a.drop()
}

// entries implements heap.Interface as far as heap.Fix needs it.
type entries []entry

func (h entries) Len() int { return len(h) }
func (h entries) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h entries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h entries) Push(any)      {}
func (h entries) Pop() any      { return nil }

// A nap is a Sleep of the machine's.
type nap struct {
	r *runner
	machine.Sleep
}

func (n nap) wanted() bool { return n.r.m.Wants(n.Sleep) }
func (n nap) do() error    { return n.r.apply(machine.Fired{At: n.r.now(), Timer: n.Timer}) }
