package local

import (
	"sync"
	"sync/atomic"
)

// A crew does things beside, on goroutines that stay for the next: the stack of a new one
// has to grow first, which costs as much as to record a call.
type crew struct {
	work chan func()
	end  <-chan struct{} // sends those who rest home
	rest atomic.Int32    // how many do
	busy sync.WaitGroup  // the others
}

// mostResting bounds the goroutines that wait for something to do.
const mostResting = 256

func newCrew(end <-chan struct{}) *crew { return &crew{work: make(chan func()), end: end} }

// do lets a member do something. Who waits for those that are busy sees to it that nothing
// begins meanwhile.
func (c *crew) do(f func()) {
	c.busy.Add(1)
	select {
	case c.work <- f:
	default:
		go c.member(f)
	}
}

func (c *crew) member(f func()) {
	for f != nil {
		c.one(f)
		f = c.next()
	}
}

func (c *crew) one(f func()) {
	defer c.busy.Done() // also when f ends the goroutine
	f()
}

// next returns what is to be done next, nil when there is enough rest elsewhere.
func (c *crew) next() (f func()) {
	defer c.rest.Add(-1)
	if c.rest.Add(1) > mostResting {
		return nil
	}
	select {
	case f = <-c.work:
	case <-c.end:
	}
	return f
}
