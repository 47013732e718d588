package e2e

import (
	"net"
	"sync"
	"testing"
)

// A Proxy forwards TCP connections to a server, and fails on demand as networks do. It is
// safe for concurrent use.
type Proxy struct {
	Address string // host:port

	target   string
	listener net.Listener

	mu        sync.Mutex
	conns     map[net.Conn]bool
	refuse    bool
	remaining int           // chunks that may pass before the cut; negative: no limit
	passed    int           // chunks
	resume    chan struct{} // closed by Mend; nil while not stalled
}

// NewProxy starts a proxy that ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: listener.Addr().String(), target: target, listener: listener, conns: map[net.Conn]bool{}, remaining: -1}
	var all sync.WaitGroup
	all.Go(func() { p.serve(&all) })
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
		p.mu.Lock()
		p.release()
		p.mu.Unlock()
		all.Wait()
	})
	return p
}

// Cut closes all connections, and refuses new ones until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// CutAfter cuts after so many more chunks; a chunk is the result of one read, in either
// direction.
func (p *Proxy) CutAfter(pieces int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remaining = pieces
}

// Stall holds all data until Mend. Connections stay open.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resume == nil {
		p.resume = make(chan struct{})
	}
}

// Mend ends the effect of Cut, CutAfter and Stall.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.remaining = false, -1
	p.release()
}

// Passed returns how many chunks have passed.
func (p *Proxy) Passed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

func (p *Proxy) cut() {
	p.refuse = true
	for conn := range p.conns {
		conn.Close()
	}
}

func (p *Proxy) release() {
	if p.resume != nil {
		close(p.resume)
		p.resume = nil
	}
}

func (p *Proxy) serve(all *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil || !p.track(client, server) {
			client.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		all.Go(func() { p.copy(client, server) })
		all.Go(func() { p.copy(server, client) })
	}
}

func (p *Proxy) track(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return true
}

// copy forwards data until either end closes, then closes both.
func (p *Proxy) copy(from, to net.Conn) {
	defer func() {
		from.Close()
		to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.admit() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// admit waits while the proxy is stalled, and tells whether the next chunk may pass.
func (p *Proxy) admit() bool {
	p.mu.Lock()
	for p.resume != nil {
		stalled := p.resume
		p.mu.Unlock()
		<-stalled
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	if p.remaining == 0 {
		p.cut()
		return false
	}
	p.remaining--
	p.passed++
	return true
}
