package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// holdForm is the stored form of a hold.
type holdForm struct {
	Scope   host.Scope `json:"scope"`
	Name    string     `json:"name,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Since   time.Time  `json:"since"`
	Auto    bool       `json:"auto,omitempty"`
	Version string     `json:"version,omitempty"`
}

// name identifies a hold. What a host set is another one than what a person did.
func (h *hold) name() string { return holdName(h.Scope, h.Name, h.Auto) }

func holdName(scope host.Scope, name string, auto bool) string {
	s := string(scope) + "/" + name
	if auto {
		s = "auto/" + s
	}
	return s
}

func (h *hold) why() string {
	what := "all calls are"
	if h.Scope != host.All {
		what = fmt.Sprintf("the %s %q is", h.Scope, h.Name)
	}
	if h.Reason == "" {
		return what + " paused"
	}
	return what + " paused: " + h.Reason
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
		if underWay && one.Auto {
			continue
		}
		if one.Scope == host.All || one.Scope == host.Connection && one.Name == c.Connection || one.Scope == host.Flow && one.Name == flow {
			return one
		}
	}
	return nil
}

// set begins a hold, and tells whether it is new.
func (h *holds) set(one *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.known[one.name()]
	if h.known == nil {
		h.known = map[string]*hold{}
	}
	h.known[one.name()] = one
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
	slices.SortFunc(out, func(a, b *hold) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.name(), b.name())
	})
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
		ID: h.holdID(one.name()), TaskQueue: h.opts.Queue, WorkflowTaskTimeout: time.Minute,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
		Memo:                     map[string]any{holdMemo: holdForm{one.Scope, one.Name, one.Reason, one.Since, one.Auto, one.version}},
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
		key := holdName(scope, name, auto)
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
		return &host.NotFoundError{What: strings.TrimSpace(fmt.Sprintf("hold of %s %s", scope, name))}
	}
	return nil
}

// Holds implements host.Host.
func (h *Host) Holds(ctx context.Context) ([]host.Hold, error) {
	all := h.holds.all()
	out := make([]host.Hold, 0, len(all))
	for _, one := range all {
		shown := one.Hold
		count, err := h.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: h.opts.Namespace, Query: h.heldQuery(one.name())})
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
			var form holdForm
			if err := h.memo(e.GetMemo(), holdMemo, &form); err != nil {
				return err
			}
			one := &hold{Hold: host.Hold{Scope: form.Scope, Name: form.Name, Reason: form.Reason, Since: form.Since, Auto: form.Auto}, version: form.Version}
			found[one.name()] = true
			if h.began(one) && one.Auto {
				h.launch(func() { h.watchRenewal(h.life, one) })
			}
		}
		if page = answer.GetNextPageToken(); len(page) == 0 {
			break
		}
	}
	for _, one := range h.holds.all() {
		if !found[one.name()] && !one.here && one.Since.Before(began.Add(-2*look)) && h.isGone(ctx, one.name()) {
			if err := h.ended(ctx, one.name()); err != nil {
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
