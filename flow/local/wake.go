package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/journal"
)

// maxWoken is how many runs are woken in one write.
const maxWoken = 1000

// wake notifies the runners of runs, and puts parked runs into the run queue. Those are
// stored as running first, so that a crash does not lose the wake-up. The caller holds h.mu.
func (h *Host) wake(runs ...*activeRun) {
	ids := make([]string, 0, len(runs))
	for _, run := range runs {
		switch run.state {
		case stateRunning:
			run.runner.notify()
		case stateParked:
			ids = append(ids, run.id)
		}
	}
	if len(ids) == 0 {
		return
	}
	for some := range slices.Chunk(ids, maxWoken) {
		if err := h.opts.Journal.Wake(context.Background(), false, some...); err != nil {
			h.fail(fmt.Errorf("store that runs go on: %w", err))
			return
		}
	}
	for _, run := range runs {
		h.enqueue(run)
	}
	h.dispatch()
}

// enqueue puts a parked run into the run queue; the journal has it as running already. The
// caller holds h.mu.
func (h *Host) enqueue(run *activeRun) {
	if run.state != stateParked {
		return
	}
	h.timers.remove(run)
	run.until = time.Time{}
	if run.claimed {
		run.wakePending = true
		return
	}
	run.state = stateReady
	h.runQueue.push(run.flow, run)
}

// dispatch gives queued runs to free workers. The caller holds h.mu.
func (h *Host) dispatch() {
	for h.freeWorkers > 0 && !h.stopping && h.failed() == nil {
		run := h.runQueue.pop()
		if run == nil {
			return
		}
		if run.state != stateReady || run.claimed { // it left the queue, or release pushes it again
			continue
		}
		h.freeWorkers--
		r := h.attachRunner(run)
		r.oldSubs, run.subs, run.receiptKeys = run.subs, nil, nil
		h.clearHolds(run)
		h.spawn(r.work)
	}
}

// freeWorker takes a worker back. The caller holds h.mu.
func (h *Host) freeWorker() {
	h.freeWorkers++
	h.workerFreed.Broadcast()
	h.dispatch()
}

// timerLoop wakes runs and runs jobs at their time, until the host ends.
func (h *Host) timerLoop() {
	for {
		h.mu.Lock()
		now := h.now()
		var due []*activeRun
		for {
			run, at := h.timers.first()
			if run == nil || at.After(now) || len(due) == maxWoken {
				break
			}
			h.timers.remove(run)
			if run.state == stateRunning || !h.stopping {
				due = append(due, run)
			}
		}
		h.wake(due...)
		run := h.jobs.pop(now)
		_, next := h.timers.first()
		if at := h.jobs.next(); next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
		// At least once a minute, in case the clock is set forward.
		if most := now.Add(time.Minute); next.IsZero() || next.After(most) {
			next = most
		}
		h.nextWake = next
		h.mu.Unlock()
		if run != nil {
			_ = run()
			continue
		}
		if h.opts.Clock.Wait(h.ctx, next, h.clockWake) != nil {
			return
		}
	}
}

// setTimer wakes a run at a time; never for the zero time. The caller holds h.mu.
func (h *Host) setTimer(run *activeRun, at time.Time) {
	h.timers.set(run, at)
	h.wakeTimerLoop(at)
}

// wakeTimerLoop has timerLoop wake up by a time. The caller holds h.mu.
func (h *Host) wakeTimerLoop(at time.Time) {
	if at.IsZero() || !at.Before(h.nextWake) {
		return
	}
	h.nextWake = at
	select {
	case h.clockWake <- struct{}{}:
	default:
	}
}

// scheduleGrant grants the tokens of a bucket with waiters when it has the next one.
func (h *Host) scheduleGrant(b *bucket) {
	at, mine := h.limits.scheduleGrant(b, h.now())
	if !mine {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs.add(at, func() bool { return true }, func() error {
		h.wakeGranted(h.limits.grant(b, h.now()))
		h.scheduleGrant(b)
		return nil
	})
	h.wakeTimerLoop(at)
}

// wakeGranted wakes the runs whose waiters were granted a token.
func (h *Host) wakeGranted(waiters []*waiter) {
	if len(waiters) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	wake := make([]*activeRun, len(waiters))
	for i, w := range waiters {
		wake[i] = w.run
	}
	h.wake(wake...)
}

// spawn runs f in the background, unless the host is closed. The caller holds h.mu.
func (h *Host) spawn(f func()) {
	if !h.closed {
		h.pool.Go(f)
	}
}

// barrier waits until all that was written before is durable.
func (h *Host) barrier(ctx context.Context) error {
	if err := h.opts.Journal.Wake(ctx, true); err != nil {
		return h.check(ctx, err)
	}
	return nil
}

// check records that the journal failed, unless the error is the caller's own.
func (h *Host) check(ctx context.Context, err error) error {
	if _, missing := errors.AsType[*journal.NotFoundError](err); !missing && ctx.Err() == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.fail(err)
	}
	return err
}

// failed returns why the host can store nothing any more, nil while it can.
func (h *Host) failed() error {
	if f := h.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// fail stops the host, because nothing can be stored any more. The caller holds h.mu.
func (h *Host) fail(err error) {
	if !h.failure.CompareAndSwap(nil, &journalFailure{err}) {
		return
	}
	h.cancel()
	for _, run := range h.runs {
		if run.state == stateRunning {
			run.runner.notify()
		}
		run.complete(nil, err)
	}
}
