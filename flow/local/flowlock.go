package local

import (
	"context"
	"fmt"
	"slices"

	"facteur/flow/journal"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"
)

// A flowLock bounds the concurrent runs of a flow with the same value of its concurrency key.
// Guarded by the host's mu.
type flowLock struct {
	key      string
	limit    int
	holders  int
	unstored int          // queued runs that are not stored yet
	queue    []*activeRun // queued runs, in order
}

// lockKey returns the hash of the flow's concurrency key, "" for a flow without concurrency.
func (h *Host) lockKey(p *plan.Plan, inputs map[string]any) (string, error) {
	if p.Concurrency == nil {
		return "", nil
	}
	key, err := p.ConcurrencyKey(inputs, h.now())
	if err != nil {
		return "", err
	}
	return h.hash(p.Name + "\n" + key), nil
}

// lockFor returns the lock of a key. limit is 0 where it is not known. The caller holds h.mu.
func (h *Host) lockFor(key string, limit int) *flowLock {
	l := h.locks[key]
	if l == nil {
		l = &flowLock{key: key}
		h.locks[key] = l
	}
	if limit > 0 {
		l.limit = limit
	}
	return l
}

// admit gives a run the lock, or a place in its queue, which enqueueLocked takes once that is
// stored. If the flow rejects runs over the limit it gets neither.
func (l *flowLock) admit(run *activeRun, reject bool) (queued, rejected bool) {
	switch full := l.holders >= l.limit || len(l.queue)+l.unstored > 0; {
	case !full:
		l.holders++
	case reject:
		return false, true
	default:
		l.unstored++
		queued = true
	}
	run.lock = l
	return queued, false
}

// enqueueLocked appends a queued run, which is stored by now, to its lock's queue. The caller
// holds h.mu.
func (h *Host) enqueueLocked(run *activeRun) {
	run.lock.unstored--
	run.lock.queue = append(run.lock.queue, run)
	h.admitNext(run.lock)
}

// releaseLock gives up a run's lock, or its place in the queue, and begins the next runs. The
// caller holds h.mu.
func (h *Host) releaseLock(run *activeRun) {
	l := run.lock
	if l == nil {
		return
	}
	run.lock = nil
	if run.state == stateQueued || run.wasQueued {
		if i := slices.Index(l.queue, run); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
		}
	} else {
		l.holders--
	}
	h.admitNext(l)
}

// admitNext begins queued runs up to the limit. A run that is claimed, and those behind it, wait
// for the release of the claim. The caller holds h.mu.
func (h *Host) admitNext(l *flowLock) {
	for len(l.queue) > 0 && !l.queue[0].claimed && l.holders < l.limit && h.failed() == nil {
		run := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.holders++
		run.state = stateParked
		if err := h.beginQueued(run); err != nil {
			h.fail(err)
			return
		}
	}
	if len(l.queue)+l.unstored == 0 && l.holders == 0 {
		delete(h.locks, l.key)
	}
	h.dispatch()
}

// beginQueued begins a queued run: its start time is now. The caller holds h.mu.
func (h *Host) beginQueued(run *activeRun) error {
	record, err := h.sealRecord(run.id, func(room []byte) (stored.Record, error) {
		return stored.Record{At: h.now(), Kind: kindBegan, Body: append(room, "{}"...)}, nil
	})
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{record}, Status: statusRunning, Waits: &journal.Waits{}}
	if err := h.opts.Journal.Write(context.Background(), run.id, false, c); err != nil {
		return fmt.Errorf("store that a queued run begins: %w", err)
	}
	if run.unseenRecords > 0 { // it comes after receipts
		run.unseenRecords++
	}
	h.enqueue(run)
	return nil
}
