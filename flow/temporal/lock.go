package temporal

import (
	"context"
	"slices"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// A lock is a workflow that bounds how many runs with the same concurrency key execute at the
// same time. Runs claim it.

const (
	acquireUpdate = "acquire"
	releaseSignal = "release"

	lockCheck      = time.Minute // how often a lock checks whether its runs still exist; without any it ends
	notifyRetry    = time.Second // until a run that did not exist is notified again …
	maxNotify      = 60          // … at most this often
	maxLockHistory = 2000        // how many events its history has before it continues as new
)

// A lockInput is the input of a lock's workflow. It is stored.
type lockInput struct {
	Limit      int      `json:"limit"`
	Holders    []string `json:"holders,omitempty"`
	Queue      []string `json:"line,omitempty"`
	Unnotified []string `json:"untold,omitempty"` // holders from the queue that were not notified yet
}

// A lockState is the state of a lock's workflow.
type lockState struct {
	lockInput
	ctx       workflow.Context
	notifying map[string]bool // by run: a coroutine notifies it
	checkDue  bool
	missing   []string // runs that did not exist at the last check
}

// lock is the workflow of a lock.
func (h *Host) lock(ctx workflow.Context, in lockInput) error {
	l := &lockState{lockInput: in, ctx: ctx, notifying: map[string]bool{}}
	err := workflow.SetUpdateHandler(ctx, acquireUpdate, func(_ workflow.Context, c claim) (claimResult, error) { return l.acquire(c), nil })
	if err != nil {
		return err
	}
	l.notify() // an earlier execution may have ended before it had
	sel := workflow.NewSelector(ctx)
	onSignal(ctx, sel, releaseSignal, l.remove)
	wait := func() { sel.AddFuture(workflow.NewTimer(ctx, lockCheck), func(workflow.Future) { l.checkDue = true }) }
	for wait(); ; {
		for sel.Select(ctx); sel.HasPending(); {
			sel.Select(ctx)
		}
		info := workflow.GetInfo(ctx)
		switch {
		case !workflow.AllHandlersFinished(ctx):
		case l.checkDue && len(l.Holders)+len(l.Queue) == 0:
			return nil
		case info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxLockHistory:
			return workflow.NewContinueAsNewError(ctx, lockType, l.lockInput)
		}
		if l.checkDue {
			l.check()
			l.checkDue = false
			l.notify()
			wait()
		}
	}
}

// acquire admits, queues or rejects a claim.
func (l *lockState) acquire(c claim) claimResult {
	if !c.Retry || l.Limit == 0 { // a retry may be of an old version of the flow
		l.Limit = c.Limit
	}
	for _, other := range slices.Concat(l.Holders, l.Queue) {
		switch {
		case !c.Retry || runOfClaim(other) != runOfClaim(c.Run):
		case other > c.Run: // this claim is of an earlier retry, and late
			return claimResult{Queued: true}
		case other < c.Run: // the other is of an earlier retry
			l.remove(other)
		}
	}
	switch {
	case slices.Contains(l.Holders, c.Run):
		return claimResult{}
	case slices.Contains(l.Queue, c.Run):
		return claimResult{Queued: true}
	case len(l.Holders) < l.Limit && len(l.Queue) == 0:
		l.Holders = append(l.Holders, c.Run)
		return claimResult{}
	case c.Reject:
		return claimResult{Rejected: true}
	}
	l.Queue = append(l.Queue, c.Run)
	l.admitNext()
	return claimResult{Queued: true}
}

// admitNext admits the first runs of the queue as far as the limit allows.
func (l *lockState) admitNext() {
	for len(l.Queue) > 0 && len(l.Holders) < l.Limit {
		run := l.Queue[0]
		l.Queue = l.Queue[1:]
		l.Holders, l.Unnotified = append(l.Holders, run), append(l.Unnotified, run)
	}
	l.notify()
}

// remove removes a run, and admits the next.
func (l *lockState) remove(run string) {
	l.Holders, l.Queue, l.Unnotified = without(l.Holders, run), without(l.Queue, run), without(l.Unnotified, run)
	l.admitNext()
}

// notify signals the runs that were admitted from the queue.
func (l *lockState) notify() {
	for _, run := range l.Unnotified {
		if l.notifying[run] {
			continue
		}
		l.notifying[run] = true
		workflow.Go(l.ctx, func(ctx workflow.Context) {
			for range maxNotify {
				if !slices.Contains(l.Unnotified, run) {
					break
				}
				if workflow.SignalExternalWorkflow(ctx, runOfClaim(run), "", admittedSignal, run).Get(ctx, nil) == nil {
					l.Unnotified = without(l.Unnotified, run)
					break
				}
				_ = workflow.Sleep(ctx, notifyRetry) // its workflow may not have started yet
			}
			delete(l.notifying, run)
		})
	}
}

// check removes runs that have ended, or do not exist.
func (l *lockState) check() {
	found := findGone(l.ctx, slices.Concat(l.Holders, l.Queue))
	for _, run := range found.Ended {
		l.remove(run)
	}
	for _, run := range found.Missing {
		if slices.Contains(l.missing, run) { // for the second time: it is not just about to start
			l.remove(run)
		}
	}
	l.missing = found.Missing
}

// without returns a list without one run.
func without(runs []string, run string) []string {
	return slices.DeleteFunc(slices.Clone(runs), func(other string) bool { return other == run })
}

// goneRuns are runs that have ended, and runs that do not exist.
type goneRuns struct {
	Ended   []string `json:"ended,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

const (
	maxChecked    = 1000 // runs of one check …
	checkedAtOnce = 16   // … and requests at the same time
)

// findGone returns the gone ones of some runs. It checks the first maxChecked; if it cannot,
// it returns none.
func findGone(ctx workflow.Context, runs []string) (found goneRuns) {
	ctx = workflow.WithLocalActivityOptions(ctx, localActivityOptions)
	if workflow.ExecuteLocalActivity(ctx, aliveActivity, runs[:min(len(runs), maxChecked)]).Get(ctx, &found) != nil {
		return goneRuns{}
	}
	return found
}

// checkRuns is the activity that asks the server which runs are gone.
func (h *Host) checkRuns(ctx context.Context, runs []string) (out goneRuns, err error) {
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(checkedAtOnce)
	for _, run := range runs {
		all.Go(func() error {
			d, err := h.client.DescribeWorkflow(ctx, runOfClaim(run), "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case isNotFound(err):
				out.Missing = append(out.Missing, run)
			case err != nil:
				return err
			case d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && runOfClaim(run) != run: // a retried one: its new execution may be about to start
				out.Missing = append(out.Missing, run)
			case d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
				out.Ended = append(out.Ended, run)
			}
			return nil
		})
	}
	err = all.Wait()
	return out, err
}
