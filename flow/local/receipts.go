package local

import (
	"context"
	"errors"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
)

// receiptsRetry is the delay before past receipts that could not be read are asked for again.
const receiptsRetry = 5 * time.Second

// replayReceipts applies the receipts of a call that came before the machine watched it. If they
// cannot be read, that is tried again later.
func (r *runner) replayReceipts(c machine.Watch) {
	receipts, err := r.pastReceipts(c.Key)
	if err != nil {
		r.schedule(r.now().Add(receiptsRetry), c, func() error { r.replayReceipts(c); return nil })
	}
	for _, receipt := range receipts {
		r.post(message{event: machine.Received{At: r.now(), Receipt: receipt}})
	}
}

// pastReceipts returns the receipts that calls have had so far. It gives up after
// host.LookupTimeout: a ledger that does not answer must not block the run.
func (r *runner) pastReceipts(keys ...string) ([]call.Receipt, error) {
	ctx, end := context.WithTimeout(r.h.ctx, host.LookupTimeout)
	defer end()
	since := r.started
	if r.restored != nil {
		since = r.restored.since
	}
	return r.h.opts.Past.Read(ctx, since, keys...)
}

// mayMake tells whether a call may be made. If receipts may show that it happened already — an
// earlier attempt of unknown outcome, or, in a run from a backup, the call itself — they are
// applied first. Without an answer it is asked again later.
func (r *runner) mayMake(c *machine.Call) (bool, error) {
	switch {
	case len(c.Doubtful) == 0 && r.restored == nil || c.InFlight:
		return true, nil
	case r.restoreErr != nil:
		return false, nil
	}
	receipts, err := r.pastReceipts(c.Doubtful...)
	if err != nil {
		r.askLater(c)
		return false, nil
	}
	for _, receipt := range receipts {
		if err := r.apply(machine.Received{At: r.now(), Receipt: receipt}); err != nil {
			return false, err
		}
	}
	if r.restored == nil || !r.m.Wants(c) {
		return r.m.Wants(c), nil
	}
	return r.mayMakeRestored(c)
}

// askLater schedules another mayMake.
func (r *runner) askLater(c *machine.Call) {
	r.schedule(r.now().Add(receiptsRetry), c, func() error { return r.execute([]machine.Command{c}) })
}

// errNoReceipts says that the receipts of a run's calls cannot be read now.
var errNoReceipts = errors.New("the receipts of its calls cannot be read")

// applyMissedReceipts applies the receipts of a rebuilt run's open calls: they may have come
// while it had no runner, or have been lost with the last host. It comes before anything
// else, because a retried run must not repeat a call that is known by now to have happened. If
// they cannot be read the error is errNoReceipts.
func (r *runner) applyMissedReceipts() error {
	keys := slices.DeleteFunc(host.OpenCalls(r.m), func(key string) bool {
		return r.m.Wants(machine.Watch{Key: key}) // replayed when Next returns the Watch
	})
	receipts, err := r.pastReceipts(keys...)
	if err != nil {
		r.reportSteps() // those that ended by appended records
		return errNoReceipts
	}
	for _, receipt := range receipts {
		if err := r.apply(machine.Received{At: r.now(), Receipt: receipt}); err != nil {
			return err
		}
	}
	return nil
}

// postpone parks a rebuilt run again whose missed receipts cannot be read now. The caller holds
// h.mu.
func (h *Host) postpone(r *runner) {
	run := r.run
	r.rejectWaiting()
	r.inbox.take()
	run.runner, run.state, run.subs, run.receiptKeys = nil, stateParked, r.oldSubs, host.OpenCalls(r.m)
	run.parkCount++
	h.setTimer(run, h.now().Add(receiptsRetry))
	h.freeWorker()
}
