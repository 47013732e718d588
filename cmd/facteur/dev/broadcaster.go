package dev

import (
	"net/http"
	"sync"
	"time"

	"facteur/flow/host"
)

// A broadcaster tells the open pages that something has changed.
type broadcaster struct {
	closed chan struct{} // closed at the end

	mu    sync.Mutex
	pages map[chan struct{}]bool // that are open
}

// notify wakes all pages. It does not block.
func (n *broadcaster) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for page := range n.pages {
		select {
		case page <- struct{}{}:
		default:
		}
	}
}

// stream sends a page server-sent events about changes, a few a second at most.
func (n *broadcaster) stream(out http.ResponseWriter, r *http.Request) {
	heard := make(chan struct{}, 1)
	n.mu.Lock()
	n.pages[heard] = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.pages, heard)
	}()
	out.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	flush := http.NewResponseController(out)
	say := func(text string) bool {
		_, err := out.Write([]byte(text))
		return err == nil && flush.Flush() == nil
	}
	if !say("retry: 1000\n\n") {
		return
	}
	for {
		select {
		case <-heard:
			if !host.Sleep(r.Context(), 80*time.Millisecond) || !say("data: news\n\n") {
				return
			}
		case <-time.After(15 * time.Second):
			if !say(": alive\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		case <-n.closed:
			return
		}
	}
}
