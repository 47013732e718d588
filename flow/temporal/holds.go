package temporal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// A hold is stored as a workflow that does nothing: while it is open, its calls are not made.
// All daemons list these workflows every second.

const (
	holdsInterval = time.Second
	holdMemo      = "hold"
)

// A hold keeps calls from being made.
type hold struct {
	host.Hold
	version   string // Auto: of the credentials that were refused; "": not known yet
	localOnly bool   // Auto: of this process alone, because it could not resolve the connection
}

// holds are the holds that this process knows of, by host.Hold.Key.
type holds struct {
	mu    sync.Mutex
	known map[string]*hold
}

// find returns a hold that keeps a call of a flow, or nil. For a call in flight only holds
// set by people count: whether an Auto hold is still justified, the call finds out itself.
func (h *holds) find(flow string, c *call.Call, inFlight bool) *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.known {
		if !(inFlight && one.Auto) && one.Covers(flow, c) {
			return one
		}
	}
	return nil
}

// add adds a hold, and reports whether it is new.
func (h *holds) add(one *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.known[one.Key()]
	h.known[one.Key()] = one
	return before == nil
}

// get returns a hold, nil if there is none.
func (h *holds) get(key string) *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[key]
}

// remove removes a hold, and returns it, nil if there is none.
func (h *holds) remove(name string) *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.known[name]
	delete(h.known, name)
	return one
}

func (h *holds) all() []*hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.known), func(a, b *hold) int { return a.Compare(&b.Hold) })
}

// holdWorkflow is the workflow of a hold. It never ends by itself.
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
	h.onHold(one)
	return nil
}

// onHold adds a hold, and reports whether it is new to this process.
func (h *Host) onHold(one *hold) bool {
	fresh := h.holds.add(one)
	if fresh && h.opts.OnHold != nil {
		h.opts.OnHold(one.Hold, false)
	}
	return fresh
}

// onLifted removes a hold, and signals the runs that it kept.
func (h *Host) onLifted(ctx context.Context, name string) error {
	if one := h.holds.remove(name); one != nil && h.opts.OnHold != nil {
		h.opts.OnHold(one.Hold, true)
	}
	return h.signalLifted(ctx, name)
}

// Resume implements host.Host.
func (h *Host) Resume(ctx context.Context, scope host.Scope, name string) error {
	found := false
	for _, auto := range []bool{false, true} {
		hold := host.Hold{Scope: scope, Name: name, Auto: auto}
		key := hold.Key()
		err := h.client.TerminateWorkflow(ctx, h.holdID(key), "", "lifted")
		one := h.holds.get(key)
		switch {
		case isNotFound(err) && (one == nil || !one.localOnly):
			continue
		case err != nil && !isNotFound(err):
			return fmt.Errorf("lift the hold: %w", err)
		}
		found = true
		if err := h.onLifted(ctx, key); err != nil {
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

// signalLifted signals the runs that a hold kept. Runs that it does not reach try again after
// their backoff.
func (h *Host) signalLifted(ctx context.Context, name string) error {
	for e, err := range h.executions(ctx, h.heldQuery(name)) {
		if err != nil {
			return fmt.Errorf("list the runs that are held: %w", err)
		}
		err := h.client.SignalWorkflow(ctx, e.GetExecution().GetWorkflowId(), "", liftedSignal, name)
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("tell a run that the hold is lifted: %w", err)
		}
	}
	return nil
}

// readHolds updates the holds from the server.
func (h *Host) readHolds(ctx context.Context) error {
	found := map[string]bool{}
	began := time.Now()
	for e, err := range h.executions(ctx, h.openOf(holdType)) {
		if err != nil {
			return fmt.Errorf("read the holds: %w", err)
		}
		var form host.StoredHold
		if err := h.memo(e.GetMemo(), holdMemo, &form); err != nil {
			return err
		}
		one := &hold{Hold: form.Hold(), version: form.Version}
		found[one.Key()] = true
		if h.onHold(one) && one.Auto {
			h.background.Go(func() { h.watchRenewal(h.ctx, one) })
		}
	}
	for _, one := range h.holds.all() {
		if !found[one.Key()] && !one.localOnly && one.Since.Before(began.Add(-2*holdsInterval)) && h.isGone(ctx, one.Key()) {
			if err := h.onLifted(ctx, one.Key()); err != nil {
				return err
			}
		}
	}
	return nil
}

// isGone reports whether a hold's workflow has ended. Lists lag, so it asks for the workflow.
func (h *Host) isGone(ctx context.Context, name string) bool {
	d, err := h.client.DescribeWorkflow(ctx, h.holdID(name), "")
	return isNotFound(err) || err == nil && d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// watchHolds reads the holds of all daemons at intervals, until Stop.
func (h *Host) watchHolds() {
	for host.Sleep(h.ctx, holdsInterval) {
		if err := h.readHolds(h.ctx); err != nil && h.ctx.Err() == nil {
			h.opts.Log.Warn("the holds could not be read", "error", err)
		}
	}
}
