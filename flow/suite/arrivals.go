package suite

import (
	"context"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// arrivals knows which events of a case have arrived.
type arrivals struct {
	c     *Case
	clock host.Clock

	mu    sync.Mutex
	calls map[string]time.Time // when a step made its first call, by id and by path
}

// recordCalls records when steps make calls, from which the times of events may count.
func (n *arrivals) recordCalls(do call.Do) call.Do {
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

// events returns the events that have arrived by now.
func (n *arrivals) events() []host.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	var events []host.Event
	if n.c.startEvent != nil {
		events = append(events, *n.c.startEvent)
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
