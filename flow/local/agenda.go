package local

import (
	"container/heap"
	"time"
)

// An agenda is what is to be done at which time, in order.
type agenda struct {
	heap entries
	seq  int
}

type entry struct {
	at     time.Time
	seq    int
	wanted func() bool
	do     func() error
}

func (a *agenda) add(at time.Time, wanted func() bool, do func() error) {
	a.seq++
	heap.Push(&a.heap, entry{at, a.seq, wanted, do})
}

// next returns the time of the first entry that is still wanted, or the zero time.
func (a *agenda) next() time.Time {
	for len(a.heap) > 0 {
		if a.heap[0].wanted() {
			return a.heap[0].at
		}
		heap.Pop(&a.heap)
	}
	return time.Time{}
}

// pop takes what is to be done by a time, nil when there is nothing.
func (a *agenda) pop(now time.Time) func() error {
	if at := a.next(); at.IsZero() || at.After(now) {
		return nil
	}
	return heap.Pop(&a.heap).(entry).do
}

type entries []entry

func (h entries) Len() int { return len(h) }
func (h entries) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h entries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *entries) Push(x any)   { *h = append(*h, x.(entry)) }
func (h *entries) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = entry{}
	*h = old[:len(old)-1]
	return last
}
