package local

import (
	"context"
	"fmt"

	"facteur/flow/host"
)

// Stop ends the host: no new runs or calls are accepted, calls in flight finish, and unfinished
// runs resume when the journal is opened again. If ctx ends first, Stop returns an error at once;
// the outcomes of the calls that are still in flight are then unknown. It may be called again.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	if !h.stopping {
		h.stopping = true
		h.holdCount.Add(1)
		for _, run := range h.runs {
			if run.state == stateRunning {
				run.runner.notify()
			}
		}
	}
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.workerFreed.Broadcast()
	})
	defer stop()
	for h.freeWorkers < h.opts.Workers && ctx.Err() == nil {
		h.workerFreed.Wait()
	}
	left := h.opts.Workers - h.freeWorkers
	h.closed = true
	for _, run := range h.runs {
		run.complete(nil, &host.StoppingError{})
	}
	h.mu.Unlock()
	h.cancel()
	if left > 0 {
		return fmt.Errorf("stopped while %d runs had calls under way: the outcomes of these calls are unknown", left)
	}
	h.pool.wg.Wait()
	return h.failed()
}

// cutsOff tells whether the host is stopping and Options.Hard has cancelled its calls.
func (h *Host) cutsOff() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopping && h.opts.Hard.Err() != nil
}

// Healthy returns why the host can store nothing any more, nil while it can.
func (h *Host) Healthy() error { return h.failed() }
