package local

import (
	"cmp"
	"container/heap"
	"time"

	"facteur/flow/machine"
)

// A jobQueue holds jobs until their time comes, a heap by time and then by insertion.
type jobQueue struct {
	heap jobHeap
	seq  int
}

// A job runs at its time, if it is still wanted then.
type job struct {
	at     time.Time
	seq    int
	wanted func() bool
	run    func() error
}

func (q *jobQueue) add(at time.Time, wanted func() bool, run func() error) {
	q.seq++
	q.heap = append(q.heap, job{at, q.seq, wanted, run})
	heap.Fix(&q.heap, len(q.heap)-1)
}

func (q *jobQueue) drop() job {
	first, last := q.heap[0], len(q.heap)-1
	q.heap[0], q.heap[last] = q.heap[last], job{}
	if q.heap = q.heap[:last]; last > 0 {
		heap.Fix(&q.heap, 0)
	}
	return first
}

// next returns the time of the first job that is still wanted, or the zero time.
func (q *jobQueue) next() time.Time {
	for len(q.heap) > 0 {
		if q.heap[0].wanted() {
			return q.heap[0].at
		}
		q.drop()
	}
	return time.Time{}
}

// pop removes the first job that is due, and returns what it runs, nil when none is.
func (q *jobQueue) pop(now time.Time) func() error {
	if at := q.next(); at.IsZero() || at.After(now) {
		return nil
	}
	return q.drop().run
}

// jobHeap implements heap.Interface as far as heap.Fix needs it: Push and Pop would allocate.
type jobHeap []job

func (h jobHeap) Len() int           { return len(h) }
func (h jobHeap) Less(i, j int) bool { return cmp.Or(h[i].at.Compare(h[j].at), h[i].seq-h[j].seq) < 0 }
func (h jobHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h jobHeap) Push(any)           {}
func (h jobHeap) Pop() any           { return nil }

// schedule has run called at a time, if the machine still wants the command then.
func (r *runner) schedule(at time.Time, c machine.Command, run func() error) {
	r.jobs.add(at, func() bool { return r.m.Wants(c) }, run)
}
