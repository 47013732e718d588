package local

import "sync"

// A crew does things beside, on goroutines that stay for the next: the stack of a new one
// has to grow first, which costs as much as to record a call. Of those who wait the garbage
// collector halves it: a call and what follows fit into 8 KB, which are not touched while
// it is under way.
type crew struct {
	busy sync.WaitGroup

	mu   sync.Mutex
	idle []member // the last is the next to do something
	gone bool     // nobody stays
}

// A member does what is sent to it, and nil at last.
type member chan func()

// mostIdle bounds the goroutines that wait for something to do.
const mostIdle = 1024

// do lets a member do something. Who waits for those that are busy sees to it that nothing
// begins meanwhile.
func (c *crew) do(f func()) {
	c.busy.Add(1)
	c.mu.Lock()
	last := len(c.idle) - 1
	if last < 0 {
		c.mu.Unlock()
		go c.work(make(member, 1), f)
		return
	}
	m := c.idle[last]
	c.idle = c.idle[:last]
	c.mu.Unlock()
	m <- f
}

func (c *crew) work(m member, f func()) {
	for ; f != nil; f = <-m {
		c.one(f)
		if !c.rest(m) {
			return
		}
	}
}

func (c *crew) one(f func()) {
	defer c.busy.Done() // also when f ends the goroutine
	f()
}

// rest tells whether a member is to stay.
func (c *crew) rest(m member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || len(c.idle) == mostIdle {
		return false
	}
	c.idle = append(c.idle, m)
	return true
}

// dismiss sends home those who have nothing to do, and the others once they have done it.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, m := range c.idle {
		m <- nil
	}
	c.idle = nil
}
