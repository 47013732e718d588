package local

import (
	"container/heap"
	"time"

	"facteur/flow/machine"
)

// A jobQueue holds jobs until their time comes, a heap by time and then by insertion.
type jobQueue struct {
	heap jobHeap
	seq  int
}

type scheduledJob struct {
	at  time.Time
	seq int
	job
}

// A job runs at its time, if it is still wanted then.
type job interface {
	wanted() bool
	run() error
}

func (q *jobQueue) add(at time.Time, j job) {
	q.seq++
	q.heap = append(q.heap, scheduledJob{at, q.seq, j})
	heap.Fix(&q.heap, len(q.heap)-1)
}

func (q *jobQueue) drop() job {
	last := len(q.heap) - 1
	first := q.heap[0].job
	q.heap[0], q.heap[last] = q.heap[last], scheduledJob{}
	q.heap = q.heap[:last]
	if last > 0 {
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

// pop removes and returns the first job that is due, nil when none is.
func (q *jobQueue) pop(now time.Time) job {
	if at := q.next(); at.IsZero() || at.After(now) {
		return nil
	}
	return q.drop()
}

// jobHeap implements heap.Interface as far as heap.Fix needs it: Push and Pop would allocate.
type jobHeap []scheduledJob

func (h jobHeap) Len() int { return len(h) }
func (h jobHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h jobHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h jobHeap) Push(any)      {}
func (h jobHeap) Pop() any      { return nil }

// A sleepJob ends a machine.Sleep.
type sleepJob struct {
	r *runner
	machine.Sleep
}

func (j sleepJob) wanted() bool { return j.r.m.Wants(j.Sleep) }
func (j sleepJob) run() error   { return j.r.apply(machine.Fired{At: j.r.now(), Timer: j.Timer}) }
