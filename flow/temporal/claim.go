package temporal

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	firstReclaim = 3 * time.Minute // until a waiting run claims its lock again, which may have lost the claim; doubles …
	maxReclaim   = time.Hour       // … up to this
	maxClaims    = 10              // attempts at a lock that has just ended
)

type (
	// A claim asks a lock to admit a run. It is the argument of acquireUpdate.
	claim struct {
		Run    string `json:"run"` // its id, or its retryClaim
		Limit  int    `json:"limit"`
		Reject bool   `json:"reject,omitempty"`
		Retry  bool   `json:"again,omitempty"` // the run was retried
	}
	// A claimResult is the lock's answer; if neither is set the run is admitted.
	claimResult struct {
		Queued   bool `json:"queued,omitempty"`
		Rejected bool `json:"rejected,omitempty"`
	}
)

// acquireLock claims the lock of the flow's concurrency key for a new run. It returns the lock's
// workflow id, "" if there is none, and its answer.
func (h *Host) acquireLock(ctx context.Context, p *plan.Plan, inputs map[string]any, id string) (lock string, v claimResult, err error) {
	if p.Concurrency == nil {
		return "", v, nil
	}
	if d, err := h.client.DescribeWorkflow(ctx, id, ""); err == nil && d != nil {
		return "", v, nil // the run exists already
	}
	key, err := p.ConcurrencyKey(inputs, time.Now())
	if err != nil {
		return "", v, err
	}
	lock = h.workflowID("lock", p.Name+"\n"+key)
	v, err = h.claim(ctx, lock, claim{Run: id, Limit: p.Concurrency.Limit, Reject: p.Concurrency.Reject})
	return lock, v, err
}

// retryClaim returns the name under which a retried run, which has that many events, claims a
// lock. It is another one for each retry, and sorts after the earlier ones, so that a late
// message about an earlier claim does not count for this one.
func retryClaim(run string, events int) string { return fmt.Sprintf("%s/%09d", run, events) }

// runOfClaim returns the run of a claim's name.
func runOfClaim(name string) string {
	run, _, _ := strings.Cut(name, "/")
	return run
}

// reacquireLock claims the lock of a run that is retried, if it has one.
func (h *Host) reacquireLock(ctx context.Context, in *input, run string, events int) error {
	in.Claim, in.AwaitsTurn, in.Unlocked = "", false, false
	if in.Lock == "" {
		return nil
	}
	p, err := h.plan(in)
	if err != nil {
		return err
	}
	c := claim{Run: retryClaim(run, events), Limit: p.Concurrency.Limit, Reject: p.Concurrency.Reject, Retry: true}
	v, err := h.claim(ctx, in.Lock, c)
	if v.Rejected {
		return host.ConcurrencyReached(run)
	}
	in.Claim, in.AwaitsTurn = c.Run, v.Queued
	return err
}

// claim sends a claim to a lock, and starts the lock if there is none. It may be repeated: a
// run is admitted once.
func (h *Host) claim(ctx context.Context, lock string, c claim) (v claimResult, err error) {
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
		if n >= maxClaims || ctx.Err() != nil {
			return claimResult{}, fmt.Errorf("ask for a place among the runs of the flow: %w", err)
		}
	}
}

// waitForAdmission waits until the lock admits the run. If the run is cancelled before, the
// error is that of its workflow.
func (r *runner) waitForAdmission(ctx workflow.Context) error {
	var event machine.Event
	sel := workflow.NewSelector(r.ctx)
	sel.AddReceive(workflow.GetSignalChannel(r.ctx, admittedSignal), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(r.ctx, nil)
		now := r.now()
		r.admittedAt = &now
	})
	onSignal(r.ctx, sel, cancelSignal, func(reason string) { event = machine.CancelRequested{At: r.now(), Reason: reason} })
	sel.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {
		event = machine.CancelRequested{At: r.now(), Reason: "cancelled on the server"}
	})
	r.scheduleClaim(sel, firstReclaim, func() bool { return r.admittedAt == nil }, func() {
		now := r.now()
		r.admittedAt = &now
	})
	for r.admittedAt == nil && event == nil {
		sel.Select(r.ctx)
	}
	if event == nil {
		return nil
	}
	r.releaseLock()
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, statusKey.ValueUnset()); err != nil {
		return err
	}
	rec := &record{Status: machine.Cancelled, Ended: r.now(), Events: encodeAll(event)}
	return temporal.NewCanceledError(rec)
}

// scheduleClaim claims the lock again after a pause, in case it has lost the claim, for as
// long as the run waits.
func (r *runner) scheduleClaim(sel workflow.Selector, pause time.Duration, waits func() bool, admitted func()) {
	once := workflow.WithActivityOptions(r.ctx, workflow.ActivityOptions{StartToCloseTimeout: lockCheck, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	sel.AddFuture(workflow.NewTimer(r.ctx, pause), func(workflow.Future) {
		if !waits() {
			return
		}
		c := claim{Run: r.lockName(), Limit: r.planned.Concurrency.Limit, Retry: r.in.AwaitsTurn}
		sel.AddFuture(workflow.ExecuteActivity(once, claimActivity, r.in.Lock, c), func(f workflow.Future) {
			var v claimResult
			switch err := f.Get(r.ctx, &v); {
			case !waits():
			case err == nil && !v.Queued:
				admitted()
			default:
				r.scheduleClaim(sel, min(2*pause, maxReclaim), waits, admitted)
			}
		})
	})
}

// lockName returns the name under which the run has claimed its lock.
func (r *runner) lockName() string { return cmp.Or(r.in.Claim, r.id()) }

// releaseLock tells the lock that the run has ended, or does not wait any more.
func (r *runner) releaseLock() {
	_ = workflow.SignalExternalWorkflow(r.ctx, r.in.Lock, "", releaseSignal, r.lockName()).Get(r.ctx, nil)
}

// onAdmitted lets a retried run go on when the lock admits it, unless that is about an earlier
// claim. It may be called twice.
func (r *runner) onAdmitted(claim string) {
	if claim == r.in.Claim {
		r.in.AwaitsTurn = false
	}
}

// leaveLockQueue withdraws the claim of a run that is cancelled while it waits: its finally
// steps need no admission.
func (r *runner) leaveLockQueue() {
	if r.in.AwaitsTurn {
		r.in.AwaitsTurn, r.in.Unlocked = false, true
		r.releaseLock()
	}
}
