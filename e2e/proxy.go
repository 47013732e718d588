package e2e

import (
	"net"
	"sync"
	"testing"
)

// A Proxy passes TCP connections on to a server, and fails in the ways networks do. Its
// methods may be called at any time.
type Proxy struct {
	Address string // host:port

	target   string
	listener net.Listener

	mu      sync.Mutex
	open    map[net.Conn]bool
	refuse  bool
	left    int           // how many pieces pass until all is cut; negative: any number
	passed  int           // pieces
	stalled chan struct{} // closed when pieces pass again; nil: they do
}

// NewProxy starts a proxy that ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: listener.Addr().String(), target: target, listener: listener, open: map[net.Conn]bool{}, left: -1}
	var all sync.WaitGroup
	all.Go(func() { p.serve(&all) })
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
		p.mu.Lock()
		p.flow()
		p.mu.Unlock()
		all.Wait()
	})
	return p
}

// Cut ends all connections, and refuses others until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// CutAfter lets so many pieces pass, one is what a read yields in either direction, and
// then cuts.
func (p *Proxy) CutAfter(pieces int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = pieces
}

// Stall lets nothing pass until Mend. Connections stay.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil {
		p.stalled = make(chan struct{})
	}
}

// Mend lets everything pass.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.left = false, -1
	p.flow()
}

// Passed is how many pieces have passed.
func (p *Proxy) Passed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

func (p *Proxy) cut() {
	p.refuse = true
	for conn := range p.open {
		conn.Close()
	}
}

func (p *Proxy) flow() {
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

func (p *Proxy) serve(all *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil || !p.keep(client, server) {
			client.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		all.Go(func() { p.pass(client, server) })
		all.Go(func() { p.pass(server, client) })
	}
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	for _, conn := range conns {
		p.open[conn] = true
	}
	return true
}

// pass copies until one end closes, then closes both.
func (p *Proxy) pass(from, to net.Conn) {
	defer func() {
		from.Close()
		to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, from)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.may() {
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

// may waits for the leave to pass a piece, and tells whether there is one.
func (p *Proxy) may() bool {
	p.mu.Lock()
	for p.stalled != nil {
		stalled := p.stalled
		p.mu.Unlock()
		<-stalled
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	if p.left == 0 {
		p.cut()
		return false
	}
	p.left--
	p.passed++
	return true
}
