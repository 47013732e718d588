package local

import "sync"

// A goroutinePool runs functions on goroutines that it keeps for the next ones. The stack of a
// new goroutine has to grow first, which costs as much as recording a call. The garbage
// collector halves the stacks of idle goroutines; a call and what follows it fit into 8 KB,
// which are untouched while the call is in flight.
type goroutinePool struct {
	wg sync.WaitGroup

	mu     sync.Mutex
	idle   []idleGoroutine // a stack: the last one is taken first
	closed bool            // no goroutine stays
}

// An idleGoroutine runs the functions that are sent to it, and ends with nil.
type idleGoroutine chan func()

// maxIdle bounds the goroutines that wait for work.
const maxIdle = 1024

// Go runs f on a goroutine of the pool. As with a sync.WaitGroup, whoever waits for wg must
// see to it that Go is not called meanwhile.
func (p *goroutinePool) Go(f func()) {
	p.wg.Add(1)
	p.mu.Lock()
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		go p.loop(make(idleGoroutine, 1), f)
		return
	}
	g := p.idle[last]
	p.idle = p.idle[:last]
	p.mu.Unlock()
	g <- f
}

func (p *goroutinePool) loop(g idleGoroutine, f func()) {
	for ; f != nil; f = <-g {
		p.call(f)
		if !p.keep(g) {
			return
		}
	}
}

func (p *goroutinePool) call(f func()) {
	defer p.wg.Done() // also if f calls runtime.Goexit
	f()
}

// keep puts a goroutine back, and tells whether it is to stay.
func (p *goroutinePool) keep(g idleGoroutine) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) == maxIdle {
		return false
	}
	p.idle = append(p.idle, g)
	return true
}

// close ends the idle goroutines now, and the others when their function returns.
func (p *goroutinePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, g := range p.idle {
		g <- nil
	}
	p.idle = nil
}
