package simulator

import (
	"container/heap"
	"sync"
	"time"
)

// A Clock is the time that a simulator lives by. Whatever it shows, Advance moves the
// simulator's own time ahead of it.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, from a goroutine of its own, when d has passed. stop calls
	// that off, and tells whether it came in time.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// System is the machine's clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (System) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// Frozen is a clock that stands still: only Advance moves the time of its simulator.
type Frozen time.Time

// Now implements Clock.
func (f Frozen) Now() time.Time { return time.Time(f) }

// AfterFunc implements Clock: only what is due already happens.
func (Frozen) AfterFunc(d time.Duration, f func()) func() bool {
	if d <= 0 {
		go f()
	}
	return func() bool { return d > 0 }
}

// A timeline is the time of a simulator: its clock, as far ahead as it was moved, and
// what is to happen when. What is due happens one after the other, in the order of its
// times.
type timeline struct {
	clock Clock

	running sync.Mutex // held while something happens

	mu    sync.Mutex
	ahead time.Duration
	due   tasks
	next  uint64
	armed time.Time // when the clock will call; zero: it will not
	stop  func() bool
	shut  bool
}

// A task is something to happen. at is when it was to happen, which may be past.
type task struct {
	at  time.Time
	seq uint64
	do  func(at time.Time)
}

func (t *timeline) now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clock.Now().Add(t.ahead)
}

// at lets something happen at a time.
func (t *timeline) at(at time.Time, do func(at time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return
	}
	t.next++
	heap.Push(&t.due, task{at, t.next, do})
	t.arm()
}

// arm asks the clock to call when the first task is due.
func (t *timeline) arm() {
	if len(t.due) == 0 || t.shut {
		return
	}
	first := t.due[0].at
	if !t.armed.IsZero() {
		if !first.Before(t.armed) {
			return
		}
		t.stop()
	}
	t.armed = first
	t.stop = t.clock.AfterFunc(first.Sub(t.clock.Now().Add(t.ahead)), t.wake)
}

func (t *timeline) wake() {
	t.mu.Lock()
	t.armed = time.Time{}
	t.mu.Unlock()
	t.run(func() time.Time { return t.clock.Now().Add(t.ahead) })
	t.mu.Lock()
	t.arm()
	t.mu.Unlock()
}

// run does what is due until a time, which is asked for under the lock.
func (t *timeline) run(until func() time.Time) {
	t.running.Lock()
	defer t.running.Unlock()
	for {
		t.mu.Lock()
		if len(t.due) == 0 || t.due[0].at.After(until()) {
			t.mu.Unlock()
			return
		}
		first := heap.Pop(&t.due).(task)
		t.mu.Unlock()
		first.do(first.at)
	}
}

// advance moves the time, and does what is due on the way, each at its own time.
func (t *timeline) advance(d time.Duration) {
	t.mu.Lock()
	target := t.clock.Now().Add(t.ahead).Add(d)
	t.mu.Unlock()
	t.run(func() time.Time {
		if len(t.due) > 0 && !t.due[0].at.After(target) {
			if step := t.due[0].at.Sub(t.clock.Now().Add(t.ahead)); step > 0 {
				t.ahead += step
			}
		}
		return target
	})
	t.mu.Lock()
	if left := target.Sub(t.clock.Now().Add(t.ahead)); left > 0 {
		t.ahead += left
	}
	if !t.armed.IsZero() {
		t.stop()
		t.armed = time.Time{}
	}
	t.arm()
	t.mu.Unlock()
}

// clear forgets what was to happen.
func (t *timeline) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due = nil
}

func (t *timeline) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due, t.shut = nil, true
	if !t.armed.IsZero() {
		t.stop()
	}
}

// tasks is a heap, the earliest first.
type tasks []task

func (t tasks) Len() int { return len(t) }
func (t tasks) Less(i, j int) bool {
	if t[i].at.Equal(t[j].at) {
		return t[i].seq < t[j].seq
	}
	return t[i].at.Before(t[j].at)
}
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }
func (t *tasks) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = task{}
	*t = old[:len(old)-1]
	return last
}
