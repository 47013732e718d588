package local

import (
	"context"
	"fmt"

	"facteur/flow/host"
)

// Stop ends the host: it takes nothing new, calls that are under way finish, and what is
// left of their runs goes on when the host is opened again. When ctx ends before, Stop
// returns at once, with an error; what the calls come to is then unknown. It may be called
// again.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	if !h.stopping {
		h.stopping = true
		h.pauses.Add(1)
		for _, w := range h.wards {
			if w.state == carried {
				w.runner.poke()
			}
		}
	}
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.stopped.Broadcast()
	})
	defer stop()
	for h.free < h.opts.Workers && ctx.Err() == nil {
		h.stopped.Wait()
	}
	left := h.opts.Workers - h.free
	h.closed = true
	for _, w := range h.wards {
		w.tell(nil, &host.StoppingError{})
	}
	h.mu.Unlock()
	h.die()
	if left > 0 {
		return fmt.Errorf("stopped while %d runs had calls under way: what these come to is unknown", left)
	}
	h.crew.busy.Wait()
	return h.failed()
}

// cutsOff tells whether the host stops, and lets no call finish.
func (h *Host) cutsOff() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopping && h.opts.Hard.Err() != nil
}

// Healthy returns why the host can store nothing more, nil while it can.
func (h *Host) Healthy() error { return h.failed() }
