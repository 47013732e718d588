package suite

import (
	"context"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// A news knows which events of a case have come.
type news struct {
	c     *Case
	clock host.Clock

	mu    sync.Mutex
	calls map[string]time.Time // when a step first made a call, by id and by path
}

// noting notes when steps make calls, from which events may count.
func (n *news) noting(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		n.mu.Lock()
		if n.calls == nil {
			n.calls = map[string]time.Time{}
		}
		for _, name := range []string{idOf(c.Step), c.Step} {
			if _, before := n.calls[name]; !before {
				n.calls[name] = n.clock.Now()
			}
		}
		n.mu.Unlock()
		return do(ctx, c)
	}
}

// came returns the events that have come by now.
func (n *news) came() []host.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	var events []host.Event
	if n.c.started != nil {
		events = append(events, *n.c.started)
	}
	now := n.clock.Now()
	for _, f := range n.c.feed {
		if f.Event == nil {
			continue
		}
		e := *f.Event
		e.At = n.c.now.Add(f.At)
		if f.After != "" {
			called, ok := n.calls[f.After]
			if !ok {
				continue
			}
			e.At = called.Add(f.In)
		}
		if !e.At.After(now) {
			events = append(events, e)
		}
	}
	return events
}
