package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/expr"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A lock is a workflow that bounds how many runs with the same key go on.

const (
	acquireUpdate = "acquire"
	releaseSignal = "release"

	checkTime   = time.Minute     // between looks whether those who hold a lock are still there; one without any ends
	admitTime   = time.Second     // until a run is told again that was not there …
	admitMost   = 60              // … which is done so often
	firstClaim  = 3 * time.Minute // until a run asks its lock again whether it is known there …
	lastClaim   = time.Hour       // … and how far that grows
	longLock    = 2000            // from how many events on the history of a lock begins anew
	acquireMost = 10              // how often a lock is asked that has just ended
)

// A spot is what a lock gave a run.
type spot struct {
	lock             string // "": there is none
	queued, rejected bool
}

type (
	lockInput struct {
		Limit   int      `json:"limit"`
		Holders []string `json:"holders,omitempty"`
		Line    []string `json:"line,omitempty"`
		Untold  []string `json:"untold,omitempty"` // holders that stood in line and do not know yet that they may go on
	}
	claim struct {
		Run    string `json:"run"` // its id, or what claimAgain makes of it
		Limit  int    `json:"limit"`
		Reject bool   `json:"reject,omitempty"`
		Again  bool   `json:"again,omitempty"` // after a retry
	}
	verdict struct {
		Queued   bool `json:"queued,omitempty"`
		Rejected bool `json:"rejected,omitempty"`
	}
)

// findPlace asks for a place among the runs of the flow.
func (h *Host) findPlace(ctx context.Context, p *plan.Plan, inputs map[string]any, id string) (spot, error) {
	if p.Concurrency == nil {
		return spot{}, nil
	}
	if d, err := h.client.DescribeWorkflow(ctx, id, ""); err == nil && d != nil {
		return spot{}, nil // the run is there already
	}
	key, err := concurrencyKey(p, inputs)
	if err != nil {
		return spot{}, err
	}
	out := spot{lock: h.name("lock", p.Name+"\n"+key)}
	v, err := h.claim(ctx, out.lock, claim{Run: id, Limit: p.Concurrency.Limit, Reject: p.Concurrency.Reject})
	out.queued, out.rejected = v.Queued, v.Rejected
	return out, err
}

// claimAgain is by what a lock knows a run that is retried, after so many events: another
// name each time, a later one sorted after those before, so that what it gives back or is
// told late of an earlier time does not count for this one.
func claimAgain(run string, events int) string { return fmt.Sprintf("%s/%09d", run, events) }

// runOfClaim is the run that a lock knows by that name.
func runOfClaim(name string) string {
	run, _, _ := strings.Cut(name, "/")
	return run
}

// findTurn asks for a place for a run that is retried, where it had one.
func (h *Host) findTurn(ctx context.Context, in *input, run string, events int) error {
	in.Claim, in.Turn, in.Free = "", false, false
	if in.Lock == "" {
		return nil
	}
	p, err := h.plan(in)
	if err != nil {
		return err
	}
	c := claim{Run: claimAgain(run, events), Limit: p.Concurrency.Limit, Reject: p.Concurrency.Reject, Again: true}
	v, err := h.claim(ctx, in.Lock, c)
	if v.Rejected {
		return host.Crowded(run)
	}
	in.Claim, in.Turn = c.Run, v.Queued
	return err
}

// claim asks a lock, which is made if there is none. Who asks twice has one place.
func (h *Host) claim(ctx context.Context, lock string, c claim) (v verdict, err error) {
	for n := 0; ; n++ {
		start := h.client.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
			ID: lock, TaskQueue: h.opts.Queue,
			WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
			WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		}, lockType, lockInput{})
		handle, err := h.client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
			StartWorkflowOperation: start,
			UpdateOptions: client.UpdateWorkflowOptions{
				WorkflowID: lock, UpdateName: acquireUpdate, WaitForStage: client.WorkflowUpdateStageCompleted,
				Args: []any{c},
			},
		})
		if err == nil {
			err = handle.Get(ctx, &v)
		}
		if err == nil {
			return v, nil
		}
		if n >= acquireMost || ctx.Err() != nil {
			return verdict{}, fmt.Errorf("ask for a place among the runs of the flow: %w", err)
		}
	}
}

func concurrencyKey(p *plan.Plan, inputs map[string]any) (string, error) {
	if p.Concurrency.Key == nil {
		return "", nil
	}
	settings := p.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	key, err := p.Concurrency.Key.Eval(expr.Vars{Values: map[string]any{"inputs": inputs, "settings": settings}, Now: time.Now()})
	if err != nil {
		return "", fmt.Errorf("concurrency: key: %w", err)
	}
	return fmt.Sprint(key), nil
}

// lock is the workflow of a lock.
func (h *Host) lock(ctx workflow.Context, in lockInput) error {
	telling := map[string]bool{}
	tell := func() {
		for _, run := range in.Untold {
			if telling[run] {
				continue
			}
			telling[run] = true
			workflow.Go(ctx, func(ctx workflow.Context) {
				for range admitMost {
					if !slices.Contains(in.Untold, run) {
						break
					}
					if workflow.SignalExternalWorkflow(ctx, runOfClaim(run), "", admittedSignal, run).Get(ctx, nil) == nil {
						in.Untold = without(in.Untold, run)
						break
					}
					_ = workflow.Sleep(ctx, admitTime) // it is about to start
				}
				delete(telling, run)
			})
		}
	}
	next := func() {
		for len(in.Line) > 0 && len(in.Holders) < in.Limit {
			run := in.Line[0]
			in.Line = in.Line[1:]
			in.Holders, in.Untold = append(in.Holders, run), append(in.Untold, run)
		}
		tell()
	}
	drop := func(run string) {
		in.Holders, in.Line, in.Untold = without(in.Holders, run), without(in.Line, run), without(in.Untold, run)
		next()
	}
	err := workflow.SetUpdateHandler(ctx, acquireUpdate, func(_ workflow.Context, c claim) (verdict, error) {
		if !c.Again || in.Limit == 0 { // a retry is of a flow as it was
			in.Limit = c.Limit
		}
		for _, other := range slices.Concat(in.Holders, in.Line) {
			switch {
			case !c.Again || runOfClaim(other) != runOfClaim(c.Run):
			case other > c.Run: // this one is of an earlier time, and comes late
				return verdict{Queued: true}, nil
			case other < c.Run: // nobody came for it, or it was not given back
				drop(other)
			}
		}
		switch {
		case slices.Contains(in.Holders, c.Run):
			return verdict{}, nil
		case slices.Contains(in.Line, c.Run):
			return verdict{Queued: true}, nil
		case len(in.Holders) < in.Limit && len(in.Line) == 0:
			in.Holders = append(in.Holders, c.Run)
			return verdict{}, nil
		case c.Reject:
			return verdict{Rejected: true}, nil
		}
		in.Line = append(in.Line, c.Run)
		next()
		return verdict{Queued: true}, nil
	})
	if err != nil {
		return err
	}
	tell() // an earlier execution may have ended before it could
	sel := workflow.NewSelector(ctx)
	sel.AddReceive(workflow.GetSignalChannel(ctx, releaseSignal), func(c workflow.ReceiveChannel, _ bool) {
		var run string
		c.Receive(ctx, &run)
		drop(run)
	})
	due := false
	var missing []string // when it was last looked
	wait := func() { sel.AddFuture(workflow.NewTimer(ctx, checkTime), func(workflow.Future) { due = true }) }
	for wait(); ; {
		for sel.Select(ctx); sel.HasPending(); {
			sel.Select(ctx)
		}
		info := workflow.GetInfo(ctx)
		switch {
		case !workflow.AllHandlersFinished(ctx):
		case due && len(in.Holders)+len(in.Line) == 0:
			return nil
		case info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > longLock:
			return workflow.NewContinueAsNewError(ctx, lockType, in)
		}
		if !due {
			continue
		}
		var found absent
		again := workflow.WithLocalActivityOptions(ctx, nearby)
		if workflow.ExecuteLocalActivity(again, aliveActivity, slices.Concat(in.Holders, in.Line)).Get(ctx, &found) == nil {
			for _, run := range found.Ended {
				drop(run)
			}
			for _, run := range found.Missing {
				if slices.Contains(missing, run) { // else it may be about to start
					drop(run)
				}
			}
			missing = found.Missing
		}
		due = false
		tell()
		wait()
	}
}

// without is a list without one run.
func without(runs []string, run string) []string {
	return slices.DeleteFunc(slices.Clone(runs), func(other string) bool { return other == run })
}

// absent are runs that need no place.
type absent struct {
	Ended   []string `json:"ended,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

// alive returns those of some runs that are not there, or have ended.
func (h *Host) alive(ctx context.Context, runs []string) (out absent, err error) {
	for _, run := range runs {
		d, err := h.client.DescribeWorkflow(ctx, runOfClaim(run), "")
		missing := (*serviceerror.NotFound)(nil)
		switch {
		case errors.As(err, &missing):
			out.Missing = append(out.Missing, run)
		case err != nil:
			return absent{}, err
		case d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && runOfClaim(run) != run: // it may be about to go on
			out.Missing = append(out.Missing, run)
		case d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
			out.Ended = append(out.Ended, run)
		}
	}
	return out, nil
}

// queue waits until the run may begin. It returns its record if it never does.
func (r *runner) queue(ctx workflow.Context) (*record, error) {
	var event machine.Event
	sel := workflow.NewSelector(r.ctx)
	sel.AddReceive(workflow.GetSignalChannel(r.ctx, admittedSignal), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(r.ctx, nil)
		now := r.now()
		r.began = &now
	})
	sel.AddReceive(workflow.GetSignalChannel(r.ctx, cancelSignal), func(c workflow.ReceiveChannel, _ bool) {
		var reason string
		c.Receive(r.ctx, &reason)
		event = machine.CancelRequested{At: r.now(), Reason: reason}
	})
	sel.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {
		event = machine.CancelRequested{At: r.now(), Reason: "cancelled on the server"}
	})
	r.claimLater(sel, firstClaim, func() bool { return r.began == nil }, func() {
		now := r.now()
		r.began = &now
	})
	for r.began == nil && event == nil {
		sel.Select(r.ctx)
	}
	if event == nil {
		return nil, nil
	}
	r.unlock()
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, statusKey.ValueUnset()); err != nil {
		return nil, err
	}
	rec := &record{Status: machine.Cancelled, Ended: r.now(), Events: encodeAll(event)}
	return nil, temporal.NewCanceledError(rec)
}

// claimLater asks the lock again, should it have forgotten the run, for as long as the run
// waits.
func (r *runner) claimLater(sel workflow.Selector, pause time.Duration, waits func() bool, admitted func()) {
	once := workflow.WithActivityOptions(r.ctx, workflow.ActivityOptions{StartToCloseTimeout: checkTime, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	sel.AddFuture(workflow.NewTimer(r.ctx, pause), func(workflow.Future) {
		if !waits() {
			return
		}
		c := claim{Run: r.claimName(), Limit: r.planned.Concurrency.Limit, Again: r.in.Turn}
		sel.AddFuture(workflow.ExecuteActivity(once, claimActivity, r.in.Lock, c), func(f workflow.Future) {
			var v verdict
			switch err := f.Get(r.ctx, &v); {
			case !waits():
			case err == nil && !v.Queued:
				admitted()
			default:
				r.claimLater(sel, min(2*pause, lastClaim), waits, admitted)
			}
		})
	})
}

// claimName is by what the lock knows the run.
func (r *runner) claimName() string { return cmp.Or(r.in.Claim, r.id()) }

// unlock gives the run's place to the next.
func (r *runner) unlock() {
	_ = workflow.SignalExternalWorkflow(r.ctx, r.in.Lock, "", releaseSignal, r.claimName()).Get(r.ctx, nil)
}

// admitted lets a run go on that waited for its turn, if it is told of this one.
func (r *runner) admitted(claim string) {
	if claim == r.in.Claim {
		r.in.Turn = false
	}
}

// leaveLine takes the run out of the line: what it has to tidy up waits for nobody.
func (r *runner) leaveLine() {
	if r.in.Turn {
		r.in.Turn, r.in.Free = false, true
		r.unlock()
	}
}
