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
	firstClaim  = 3 * time.Minute // until a run asks its lock again whether it is known there …
	lastClaim   = time.Hour       // … and how far that grows
	acquireMost = 10              // how often a lock is asked that has just ended
)

type (
	// A claim is what a run asks a lock for.
	claim struct {
		Run    string `json:"run"` // its id, or what claimAgain makes of it
		Limit  int    `json:"limit"`
		Reject bool   `json:"reject,omitempty"`
		Again  bool   `json:"again,omitempty"` // after a retry
	}
	// A verdict is what the lock says; neither: the run has a place.
	verdict struct {
		Queued   bool `json:"queued,omitempty"`
		Rejected bool `json:"rejected,omitempty"`
	}
)

// A spot is what a lock gave a run.
type spot struct {
	lock             string // "": there is none
	queued, rejected bool
}

// findPlace asks for a place among the runs of the flow.
func (h *Host) findPlace(ctx context.Context, p *plan.Plan, inputs map[string]any, id string) (spot, error) {
	if p.Concurrency == nil {
		return spot{}, nil
	}
	if d, err := h.client.DescribeWorkflow(ctx, id, ""); err == nil && d != nil {
		return spot{}, nil // the run is there already
	}
	key, err := p.ConcurrencyKey(inputs, time.Now())
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
		return host.ConcurrencyReached(run)
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

// queue waits until the run may begin. Its error, if it never does, holds its record.
func (r *runner) queue(ctx workflow.Context) error {
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
		return nil
	}
	r.unlock()
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, statusKey.ValueUnset()); err != nil {
		return err
	}
	rec := &record{Status: machine.Cancelled, Ended: r.now(), Events: encodeAll(event)}
	return temporal.NewCanceledError(rec)
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
