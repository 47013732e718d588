package temporal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// A lock is a workflow that bounds how many runs with the same key go on. Who wants a place
// makes a claim.

const (
	acquireUpdate = "acquire"
	releaseSignal = "release"

	checkTime = time.Minute // between looks whether those who hold a lock are still there; one without any ends
	admitTime = time.Second // until a run is told again that was not there …
	admitMost = 60          // … which is done so often
	longLock  = 2000        // from how many events on the history of a lock begins anew
)

// A lockInput is what a lock begins with.
type lockInput struct {
	Limit   int      `json:"limit"`
	Holders []string `json:"holders,omitempty"`
	Line    []string `json:"line,omitempty"`
	Untold  []string `json:"untold,omitempty"` // holders that stood in line and do not know yet that they may go on
}

// A locking is a lock, inside its workflow.
type locking struct {
	lockInput
	ctx     workflow.Context
	telling map[string]bool // the untold to whom somebody is on the way
	due     bool            // it is time to look who is still there
	missing []string        // who was not, when it was last looked
}

// lock is the workflow of a lock.
func (h *Host) lock(ctx workflow.Context, in lockInput) error {
	l := &locking{lockInput: in, ctx: ctx, telling: map[string]bool{}}
	err := workflow.SetUpdateHandler(ctx, acquireUpdate, func(_ workflow.Context, c claim) (verdict, error) { return l.acquire(c), nil })
	if err != nil {
		return err
	}
	l.tell() // an earlier execution may have ended before it could
	sel := workflow.NewSelector(ctx)
	sel.AddReceive(workflow.GetSignalChannel(ctx, releaseSignal), func(c workflow.ReceiveChannel, _ bool) {
		var run string
		c.Receive(ctx, &run)
		l.drop(run)
	})
	wait := func() { sel.AddFuture(workflow.NewTimer(ctx, checkTime), func(workflow.Future) { l.due = true }) }
	for wait(); ; {
		for sel.Select(ctx); sel.HasPending(); {
			sel.Select(ctx)
		}
		info := workflow.GetInfo(ctx)
		switch {
		case !workflow.AllHandlersFinished(ctx):
		case l.due && len(l.Holders)+len(l.Line) == 0:
			return nil
		case info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longLock:
			return workflow.NewContinueAsNewError(ctx, lockType, l.lockInput)
		}
		if l.due {
			l.look()
			l.due = false
			l.tell()
			wait()
		}
	}
}

// acquire gives a claim a place, or one in line.
func (l *locking) acquire(c claim) verdict {
	if !c.Again || l.Limit == 0 { // a retry is of a flow as it was
		l.Limit = c.Limit
	}
	for _, other := range slices.Concat(l.Holders, l.Line) {
		switch {
		case !c.Again || runOfClaim(other) != runOfClaim(c.Run):
		case other > c.Run: // this one is of an earlier time, and comes late
			return verdict{Queued: true}
		case other < c.Run: // nobody came for it, or it was not given back
			l.drop(other)
		}
	}
	switch {
	case slices.Contains(l.Holders, c.Run):
		return verdict{}
	case slices.Contains(l.Line, c.Run):
		return verdict{Queued: true}
	case len(l.Holders) < l.Limit && len(l.Line) == 0:
		l.Holders = append(l.Holders, c.Run)
		return verdict{}
	case c.Reject:
		return verdict{Rejected: true}
	}
	l.Line = append(l.Line, c.Run)
	l.next()
	return verdict{Queued: true}
}

// next gives free places to those who are first in line.
func (l *locking) next() {
	for len(l.Line) > 0 && len(l.Holders) < l.Limit {
		run := l.Line[0]
		l.Line = l.Line[1:]
		l.Holders, l.Untold = append(l.Holders, run), append(l.Untold, run)
	}
	l.tell()
}

// drop takes a place back.
func (l *locking) drop(run string) {
	l.Holders, l.Line, l.Untold = without(l.Holders, run), without(l.Line, run), without(l.Untold, run)
	l.next()
}

// tell tells those who stood in line that they may go on.
func (l *locking) tell() {
	for _, run := range l.Untold {
		if l.telling[run] {
			continue
		}
		l.telling[run] = true
		workflow.Go(l.ctx, func(ctx workflow.Context) {
			for range admitMost {
				if !slices.Contains(l.Untold, run) {
					break
				}
				if workflow.SignalExternalWorkflow(ctx, runOfClaim(run), "", admittedSignal, run).Get(ctx, nil) == nil {
					l.Untold = without(l.Untold, run)
					break
				}
				_ = workflow.Sleep(ctx, admitTime) // it is about to start
			}
			delete(l.telling, run)
		})
	}
}

// look takes back the places of runs that need none any more.
func (l *locking) look() {
	found := findAbsent(l.ctx, slices.Concat(l.Holders, l.Line))
	for _, run := range found.Ended {
		l.drop(run)
	}
	for _, run := range found.Missing {
		if slices.Contains(l.missing, run) { // else it may be about to start
			l.drop(run)
		}
	}
	l.missing = found.Missing
}

// without is a list without one run.
func without(runs []string, run string) []string {
	return slices.DeleteFunc(slices.Clone(runs), func(other string) bool { return other == run })
}

// absent are runs that need nothing any more.
type absent struct {
	Ended   []string `json:"ended,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

const (
	askedMost = 1000 // runs that the server is asked for in one go …
	askedSide = 16   // … and how many at the same time
)

// findAbsent returns those of the first of some runs that are not there, or have ended, none
// where that cannot be known now.
func findAbsent(ctx workflow.Context, runs []string) (found absent) {
	again := workflow.WithLocalActivityOptions(ctx, nearby)
	if workflow.ExecuteLocalActivity(again, aliveActivity, runs[:min(len(runs), askedMost)]).Get(ctx, &found) != nil {
		return absent{}
	}
	return found
}

// alive is the activity that asks for runs.
func (h *Host) alive(ctx context.Context, runs []string) (out absent, err error) {
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(askedSide)
	for _, run := range runs {
		all.Go(func() error {
			d, err := h.client.DescribeWorkflow(ctx, runOfClaim(run), "")
			missing := (*serviceerror.NotFound)(nil)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.As(err, &missing):
				out.Missing = append(out.Missing, run)
			case err != nil:
				return err
			case d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && runOfClaim(run) != run: // it may be about to go on
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
