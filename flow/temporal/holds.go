package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// A hold is a workflow that does nothing: that it is there keeps calls from being made.
// All daemons look which there are, every second.

const (
	look      = time.Second
	holdMemo  = "hold"
	manyCalls = 100 // runs that are told at the same time that a hold is lifted
)

// A hold keeps calls from being made.
type hold struct {
	host.Hold
	version string // Auto: of the credentials that were refused, once it is known
	here    bool   // Auto: it is of this process alone, because nothing could be resolved here
}

// holds are those that this process knows of.
type holds struct {
	mu    sync.Mutex
	known map[string]*hold
}

// on returns what keeps a call of a flow, nil when nothing does. For one that is under way, only
// what people have paused counts: whether the rest still holds, it finds out itself.
func (h *holds) on(flow string, c *call.Call, underWay bool) *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.known {
		if !(underWay && one.Auto) && one.Covers(flow, c) {
			return one
		}
	}
	return nil
}

// set begins a hold, and tells whether it is new.
func (h *holds) set(one *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.known[one.Key()]
	if h.known == nil {
		h.known = map[string]*hold{}
	}
	h.known[one.Key()] = one
	return before == nil
}

// drop ends a hold, and returns it.
func (h *holds) drop(name string) *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.known[name]
	delete(h.known, name)
	return one
}

func (h *holds) all() []*hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*hold, 0, len(h.known))
	for _, one := range h.known {
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b *hold) int { return a.Compare(&b.Hold) })
	return out
}

// holdWorkflow is what a hold is.
func holdWorkflow(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return false })
}

func (h *Host) holdID(name string) string { return h.opts.Queue + "/hold/" + h.hash(name) }

// Pause implements host.Host. All daemons hold calls back within a second or two.
func (h *Host) Pause(ctx context.Context, scope host.Scope, name, reason string) error {
	if err := scope.Check(name); err != nil {
		return err
	}
	return h.setHold(ctx, &hold{Hold: host.Hold{Scope: scope, Name: name, Reason: reason, Since: time.Now().UTC()}})
}

func (h *Host) setHold(ctx context.Context, one *hold) error {
	_, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: h.holdID(one.Key()), TaskQueue: h.opts.Queue, WorkflowTaskTimeout: time.Minute,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
		Memo:                     map[string]any{holdMemo: one.Stored(one.version)},
	}, holdType)
	if err != nil {
		return fmt.Errorf("store the hold: %w", err)
	}
	h.began(one)
	return nil
}

// began takes note of a hold, and tells whether it is news.
func (h *Host) began(one *hold) bool {
	fresh := h.holds.set(one)
	if fresh && h.opts.OnHold != nil {
		h.opts.OnHold(one.Hold, false)
	}
	return fresh
}

// ended forgets a hold, and lets the runs go on that it kept.
func (h *Host) ended(ctx context.Context, name string) error {
	if one := h.holds.drop(name); one != nil && h.opts.OnHold != nil {
		h.opts.OnHold(one.Hold, true)
	}
	return h.tellLifted(ctx, name)
}

// Resume implements host.Host.
func (h *Host) Resume(ctx context.Context, scope host.Scope, name string) error {
	found := false
	for _, auto := range []bool{false, true} {
		hold := host.Hold{Scope: scope, Name: name, Auto: auto}
		key := hold.Key()
		err := h.client.TerminateWorkflow(ctx, h.holdID(key), "", "lifted")
		missing := (*serviceerror.NotFound)(nil)
		h.holds.mu.Lock()
		one := h.holds.known[key]
		h.holds.mu.Unlock()
		switch {
		case errors.As(err, &missing):
			if one == nil || !one.here {
				continue
			}
		case err != nil:
			return fmt.Errorf("lift the hold: %w", err)
		}
		found = true
		if err := h.ended(ctx, key); err != nil {
			return err
		}
	}
	if !found {
		return host.NoHold(scope, name)
	}
	return nil
}

// Holds implements host.Host.
func (h *Host) Holds(ctx context.Context) ([]host.Hold, error) {
	all := h.holds.all()
	out := make([]host.Hold, 0, len(all))
	for _, one := range all {
		shown := one.Hold
		count, err := h.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: h.opts.Namespace, Query: h.heldQuery(one.Key())})
		if err != nil {
			return nil, fmt.Errorf("count the runs that are held: %w", err)
		}
		shown.Calls = int(count.GetCount())
		out = append(out, shown)
	}
	return out, nil
}

func (h *Host) heldQuery(name string) string {
	return h.openOf(runType) + " AND " + equals(heldKey.GetName(), name)
}

// tellLifted tells the runs that a hold kept. Those that it does not reach look again by
// themselves.
func (h *Host) tellLifted(ctx context.Context, name string) error {
	var page []byte
	for {
		answer, err := h.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: h.opts.Namespace, Query: h.heldQuery(name), PageSize: manyCalls, NextPageToken: page,
		})
		if err != nil {
			return fmt.Errorf("list the runs that are held: %w", err)
		}
		for _, e := range answer.GetExecutions() {
			err := h.client.SignalWorkflow(ctx, e.GetExecution().GetWorkflowId(), "", liftedSignal, name)
			if gone := (*serviceerror.NotFound)(nil); err != nil && !errors.As(err, &gone) {
				return fmt.Errorf("tell a run that the hold is lifted: %w", err)
			}
		}
		if page = answer.GetNextPageToken(); len(page) == 0 {
			return nil
		}
	}
}

// readHolds learns which holds there are.
func (h *Host) readHolds(ctx context.Context) error {
	found := map[string]bool{}
	began := time.Now()
	var page []byte
	for {
		answer, err := h.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: h.opts.Namespace, PageSize: 100, NextPageToken: page,
			Query: h.openOf(holdType),
		})
		if err != nil {
			return fmt.Errorf("read the holds: %w", err)
		}
		for _, e := range answer.GetExecutions() {
			var form host.StoredHold
			if err := h.memo(e.GetMemo(), holdMemo, &form); err != nil {
				return err
			}
			one := &hold{Hold: form.Hold(), version: form.Version}
			found[one.Key()] = true
			if h.began(one) && one.Auto {
				h.launch(func() { h.watchRenewal(h.life, one) })
			}
		}
		if page = answer.GetNextPageToken(); len(page) == 0 {
			break
		}
	}
	for _, one := range h.holds.all() {
		if !found[one.Key()] && !one.here && one.Since.Before(began.Add(-2*look)) && h.isGone(ctx, one.Key()) {
			if err := h.ended(ctx, one.Key()); err != nil {
				return err
			}
		}
	}
	return nil
}

// isGone asks the server itself about a hold: lists are behind by a moment.
func (h *Host) isGone(ctx context.Context, name string) bool {
	d, err := h.client.DescribeWorkflow(ctx, h.holdID(name), "")
	missing := (*serviceerror.NotFound)(nil)
	return errors.As(err, &missing) || err == nil && d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// watchHolds keeps up with the holds of all daemons.
func (h *Host) watchHolds() {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := h.readHolds(h.life); err != nil && h.life.Err() == nil {
				h.opts.Log.Warn("the holds could not be read", "error", err)
			}
		case <-h.life.Done():
			return
		}
	}
}
