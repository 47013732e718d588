package simulator

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"
)

// A Clock is the time source of a simulator. Advance moves the simulator's time ahead of it.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, in a goroutine of its own, when d has passed. stop cancels
	// that, and reports whether it was in time, as time.Timer.Stop does.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// System is the system's clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (System) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// Frozen is a clock that stands still: only Advance moves the time of its simulator.
type Frozen time.Time

// Now implements Clock.
func (f Frozen) Now() time.Time { return time.Time(f) }

// AfterFunc implements Clock: f is only called if d is not positive.
func (Frozen) AfterFunc(d time.Duration, f func()) func() bool {
	if d <= 0 {
		go f()
	}
	return func() bool { return d > 0 }
}

// A scheduler runs the tasks of a simulator at their times, one after the other. Its time is the
// clock's plus what Advance has added.
type scheduler struct {
	clock Clock

	runMu sync.Mutex // held while something happens

	mu      sync.Mutex
	ahead   time.Duration
	queue   taskHeap
	next    uint64
	timerAt time.Time // when the clock will call; zero: it will not
	stop    func() bool
	closed  bool
}

// A task is a function with the time at which it is due. do gets that time, which may be past.
type task struct {
	at  time.Time
	seq uint64
	do  func(at time.Time)
}

func (t *scheduler) now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.time()
}

// time is now for who holds the lock.
func (t *scheduler) time() time.Time { return t.clock.Now().Add(t.ahead) }

// schedule lets something happen at a time.
func (t *scheduler) schedule(at time.Time, do func(at time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.next++
	heap.Push(&t.queue, task{at, t.next, do})
	t.setTimer()
}

// setTimer has the clock call onTimer when the first task is due.
func (t *scheduler) setTimer() {
	if len(t.queue) == 0 || t.closed {
		return
	}
	first := t.queue[0].at
	if !t.timerAt.IsZero() {
		if !first.Before(t.timerAt) {
			return
		}
		t.stop()
	}
	t.timerAt = first
	t.stop = t.clock.AfterFunc(first.Sub(t.time()), t.onTimer)
}

func (t *scheduler) onTimer() {
	t.mu.Lock()
	t.timerAt = time.Time{}
	t.mu.Unlock()
	t.run(t.time)
	t.mu.Lock()
	t.setTimer()
	t.mu.Unlock()
}

// run runs the tasks that are due by the time that until returns, which is called under the lock.
func (t *scheduler) run(until func() time.Time) {
	t.runMu.Lock()
	defer t.runMu.Unlock()
	for {
		t.mu.Lock()
		if len(t.queue) == 0 || t.queue[0].at.After(until()) {
			t.mu.Unlock()
			return
		}
		first := heap.Pop(&t.queue).(task)
		t.mu.Unlock()
		first.do(first.at)
	}
}

// advance moves the time, and runs the tasks that become due, each at its own time.
func (t *scheduler) advance(d time.Duration) {
	t.mu.Lock()
	target := t.time().Add(d)
	t.mu.Unlock()
	t.run(func() time.Time {
		if len(t.queue) > 0 && !t.queue[0].at.After(target) {
			if step := t.queue[0].at.Sub(t.time()); step > 0 {
				t.ahead += step
			}
		}
		return target
	})
	t.mu.Lock()
	if left := target.Sub(t.time()); left > 0 {
		t.ahead += left
	}
	if !t.timerAt.IsZero() {
		t.stop()
		t.timerAt = time.Time{}
	}
	t.setTimer()
	t.mu.Unlock()
}

// clear drops all tasks.
func (t *scheduler) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = nil
}

func (t *scheduler) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue, t.closed = nil, true
	if !t.timerAt.IsZero() {
		t.stop()
	}
}

// taskHeap implements heap.Interface, the earliest task first.
type taskHeap []task

func (t taskHeap) Len() int { return len(t) }
func (t taskHeap) Less(i, j int) bool {
	return cmp.Or(t[i].at.Compare(t[j].at), cmp.Compare(t[i].seq, t[j].seq)) < 0
}
func (t taskHeap) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *taskHeap) Push(x any)   { *t = append(*t, x.(task)) }
func (t *taskHeap) Pop() any {
	last := (*t)[len(*t)-1]
	*t = slices.Delete(*t, len(*t)-1, len(*t))
	return last
}
