package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// Start implements host.Host. If a worker is free the run takes up its first calls right away:
// they are stored together with the run, in one write.
func (h *Host) Start(ctx context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	if err := h.failed(); err != nil {
		return host.Run{}, false, err
	}
	now := h.now()
	id, inputs := newID(now), []byte(nil)
	if s.Key != "" { // another start may have used it
		id = host.KeyedID(h.opts.Hash, p.Name, s.Key)
		var err error
		if inputs, err = h.inputFingerprints(s); err != nil {
			return host.Run{}, false, err
		}
	}
	lockKey, err := h.lockKey(p, s.Inputs)
	if err != nil {
		return host.Run{}, false, err
	}
	start := h.newStart(id, now, s.Inputs)
	cached := h.plans.Put(p)
	run, r, err := h.reserve(ctx, id, p, lockKey)
	if err != nil {
		return host.Run{}, false, err
	}
	if run == nil {
		first, err := h.firstRun(ctx, id, s.Key, inputs)
		return first, false, err
	}
	head := newHead(p, start)
	head.By, head.Inputs, head.Lock = s.By, inputs, lockKey
	if r != nil {
		err = r.create(cached, start, head)
	} else {
		err = h.storeWaiting(run, p, start, head)
	}
	h.finishStart(run, r, err)
	if _, exists := errors.AsType[*journal.ExistsError](err); exists {
		first, err := h.firstRun(ctx, id, s.Key, inputs)
		return first, false, err
	}
	if err != nil {
		return host.Run{}, false, err
	}
	return runOfHead(head), true, nil
}

func (h *Host) newStart(id string, now time.Time, inputs map[string]any) *machine.Start {
	return &machine.Start{Run: id, At: now, Inputs: inputs, Seed: host.NewSeed(), Receipts: h.opts.Receipts, Gaps: true}
}

// newHead returns the journal head of a new run.
func newHead(p *plan.Plan, start *machine.Start) *journal.Run {
	return &journal.Run{
		ID: start.Run, Flow: p.Name, Digest: p.Digest, Version: machine.Version, Sources: p.Texts, Status: statusRunning, Started: start.At,
	}
}

// reserve makes a new run active, claimed until finishStart, and gives it a runner if a worker
// is free. run is nil if a run of that id is active already.
func (h *Host) reserve(ctx context.Context, id string, p *plan.Plan, lockKey string) (run *activeRun, r *runner, err error) {
	for {
		h.mu.Lock()
		if h.stopping || !h.opened {
			h.mu.Unlock()
			return nil, nil, &host.StoppingError{}
		}
		other := h.runs[id]
		if other == nil {
			break
		}
		if !other.claimed {
			h.mu.Unlock()
			return nil, nil, nil
		}
		if err := h.awaitRelease(ctx, other); err != nil {
			return nil, nil, err
		}
	}
	defer h.mu.Unlock()
	run = &activeRun{id: id, flow: p.Name, state: stateReady, claimed: true}
	h.runs[id] = run
	if lockKey != "" {
		switch queued, rejected := h.lockFor(lockKey, p.Concurrency.Limit).admit(run, p.Concurrency.Reject); {
		case queued:
			run.state = stateQueued
			return run, nil, nil
		case rejected:
			run.state = stateEnded
			return run, nil, nil
		}
	}
	if h.freeWorkers > 0 && h.runQueue.len == 0 {
		h.freeWorkers--
		r = h.attachRunner(run)
	}
	return run, r, nil
}

// create stores a new run with its first calls, and starts these. From then on the run has begun,
// with calls in flight: unless the journal fails, an error is the run's own, and is left to work.
func (r *runner) create(p *host.CachedPlan, start *machine.Start, head *journal.Run) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			err = errFault
		}
		switch _, unstored := errors.AsType[*storeError](err); {
		case err == nil || unstored || errors.Is(err, ErrCrashed):
		case r.m != nil && r.head == nil:
			r.startErr, err = err, nil
		default:
			err = fmt.Errorf("start the run: %w", err)
		}
	}()
	r.plan = p
	if err := r.initRun(p.Plan, start, head); err != nil {
		return err
	}
	if err := r.perform(); err != nil {
		return err
	}
	if r.head != nil {
		if err := r.flush(true); err != nil {
			return err
		}
	}
	r.reportSteps()
	return nil
}

// storeWaiting stores a new run that is rejected, queued, or waits for a worker.
func (h *Host) storeWaiting(run *activeRun, p *plan.Plan, start *machine.Start, head *journal.Run) error {
	first, err := h.encodeStart(start)
	if err != nil {
		return err
	}
	c := journal.Change{Records: []journal.Record{first}}
	switch run.state {
	case stateQueued:
		head.Status = string(host.Queued)
		c.Waits = queuedWaits(p.Concurrency.Limit)
	case stateEnded:
		head.Status, head.Ended = string(host.Rejected), start.At
	}
	if err := h.opts.Journal.Create(context.Background(), *head, c); err != nil {
		return &storeError{fmt.Errorf("store the run: %w", err)}
	}
	return nil
}

// finishStart ends what reserve began: the run goes on, or with an error is removed.
func (h *Host) finishStart(run *activeRun, r *runner, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run.unclaim()
	if err != nil {
		_, exists := errors.AsType[*journal.ExistsError](err)
		if _, unstored := errors.AsType[*storeError](err); unstored && !exists || errors.Is(err, ErrCrashed) {
			h.fail(err)
		}
		if run.state == stateQueued {
			run.lock.unstored--
		}
		h.forget(run)
		if r != nil {
			h.freeWorker()
		}
		return
	}
	switch {
	case r != nil:
		// With nothing but calls in flight it needs no goroutine.
		if waits := len(r.inFlight) > 0 && len(r.newAwaits) == 0 && r.startErr == nil; waits {
			if gone, _ := r.yield(); gone {
				return
			}
		}
		h.spawn(r.work)
	case run.state == stateQueued:
		h.enqueueLocked(run)
	case run.state == stateEnded:
		delete(h.runs, run.id)
	default:
		h.runQueue.push(run.flow, run)
		h.dispatch()
	}
}

// First implements host.Host.
func (h *Host) First(ctx context.Context, flow, key string, inputs map[string]any) (host.Run, error) {
	id := host.KeyedID(h.opts.Hash, flow, key)
	fingerprints, err := h.inputFingerprints(host.Start{Inputs: inputs})
	if err != nil {
		return host.Run{}, err
	}
	run, err := h.claim(ctx, id) // in case its start is being stored
	if err != nil {
		return host.Run{}, err
	}
	if run != nil {
		h.release(run)
	}
	first, err := h.firstRun(ctx, id, key, fingerprints)
	return first, notFound(err)
}

// firstRun returns the run that was started with a key.
func (h *Host) firstRun(ctx context.Context, id, key string, inputs []byte) (host.Run, error) {
	head, _, err := h.load(ctx, id)
	if err != nil {
		return host.Run{}, err
	}
	if !shareFingerprint(head.Inputs, inputs) {
		return host.Run{}, &host.ReusedError{Run: id, Key: key}
	}
	return runOfHead(&head), nil
}

// inputFingerprints returns the fingerprints of a start's inputs, concatenated.
func (h *Host) inputFingerprints(s host.Start) ([]byte, error) {
	fingerprints, err := s.Fingerprints(h.opts.Hash)
	return slices.Concat(fingerprints...), err
}

// shareFingerprint tells whether two starts have a fingerprint in common.
func shareFingerprint(a, b []byte) bool {
	for one := range slices.Chunk(a, host.FingerprintSize) {
		for other := range slices.Chunk(b, host.FingerprintSize) {
			if bytes.Equal(one, other) {
				return true
			}
		}
	}
	return false
}

func runOfHead(head *journal.Run) host.Run {
	return host.Run{
		ID: head.ID, Flow: head.Flow, Digest: head.Digest, Status: machine.Status(head.Status), By: head.By,
		Started: head.Started, Ended: head.Ended, Unknown: head.Unknown,
	}
}
