package temporal

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Start implements host.Host.
func (h *Host) Start(ctx context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	if h.stopping.Load() {
		return host.Run{}, false, &host.StoppingError{}
	}
	id := newID()
	if s.Key != "" {
		id = host.KeyedID(h.opts.Hash, p.Name, s.Key)
	}
	fingerprints, err := h.fingerprintInputs(s)
	if err != nil {
		return host.Run{}, false, err
	}
	start := machine.Start{Run: id, At: time.Now().UTC().Truncate(time.Microsecond), Inputs: s.Inputs, Seed: host.NewSeed(), Receipts: h.opts.Receipts}
	first, err := stored.EncodeStart(nil, start)
	if err != nil {
		return host.Run{}, false, err
	}
	in := input{
		Machine: machine.Version, Flow: p.Name, Digest: p.Digest, Sources: p.Texts, Start: first, By: s.By, Past: h.opts.Past != nil, Begins: true, ChecksReceipts: h.opts.Past != nil,
	}
	if err := h.checkSize("what the run begins with", in, len(first.Body)+sourceBytes(p.Texts)); err != nil {
		return host.Run{}, false, err
	}
	run := host.Run{ID: id, Flow: p.Name, Digest: p.Digest, Status: machine.Running, By: s.By, Started: start.At}
	spot, err := h.acquireLock(ctx, p, s.Inputs, id)
	if err != nil {
		return host.Run{}, false, err
	}
	in.Lock, in.Queued, in.Rejected = spot.lock, spot.queued, spot.rejected
	attributes := h.firstAttributes(h.plans.Put(p), start, run)
	switch {
	case in.Rejected:
		run.Status, run.Ended = host.Rejected, start.At
		attributes = append(attributes, statusKey.ValueSet(string(host.Rejected)))
	case in.Queued:
		run.Status = host.Queued
		attributes = append(attributes, statusKey.ValueSet(string(host.Queued)))
	}
	begun, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: h.opts.Queue, EnableEagerStart: true, WorkflowTaskTimeout: h.taskTime(),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
		Memo:                                     map[string]any{inputsMemo: fingerprints},
	}, runType, in)
	if isStarted(err) {
		run, err := h.first(ctx, id, s.Key, fingerprints)
		return run, false, err
	}
	if err != nil {
		return host.Run{}, false, fmt.Errorf("start the run: %w", err)
	}
	h.started.add(id, begun.GetRunID(), in)
	return run, true, nil
}

// taskTime returns the workflow task time-out: how long a worker may take to decide what a run
// does next, before another one does.
func (h *Host) taskTime() time.Duration { return min(max(h.opts.Lost, time.Second), 10*time.Second) }

// maxBy bounds host.Run.By in the search attribute, in bytes.
const maxBy = 200

// inputsMemo is the memo with the fingerprints of a run's inputs, which tell whether an
// idempotency key is used again with other inputs.
const inputsMemo = "inputs"

// firstAttributes returns the search attributes of a new run. The recipients of its first calls
// are known already, from a machine.
func (h *Host) firstAttributes(p *host.CachedPlan, start machine.Start, run host.Run) []temporal.SearchAttributeUpdate {
	out := []temporal.SearchAttributeUpdate{
		flowKey.ValueSet(run.Flow), digestKey.ValueSet(run.Digest), startedKey.ValueSet(start.At.UnixMicro()),
	}
	if run.By != "" {
		out = append(out, byKey.ValueSet(run.By[:min(len(run.By), maxBy)]))
	}
	var recipients []string
	for _, c := range machine.New(p.Plan, start).Next() {
		c, ok := c.(*machine.Call)
		if !ok {
			continue
		}
		if to := h.recipient(p, &c.Call); to != "" && len(recipients) < maxRecipients && !slices.Contains(recipients, to) {
			recipients = append(recipients, to)
		}
		for _, l := range c.Limits {
			if isShared(l) {
				h.senderQueue(h.opts.Queue, l)
				break
			}
		}
	}
	if len(recipients) > 0 {
		out = append(out, recipientKey.ValueSet(recipients))
	}
	return out
}

// First implements host.Host.
func (h *Host) First(ctx context.Context, flow, key string, inputs map[string]any) (host.Run, error) {
	fingerprints, err := h.fingerprintInputs(host.Start{Inputs: inputs})
	if err != nil {
		return host.Run{}, err
	}
	return h.first(ctx, host.KeyedID(h.opts.Hash, flow, key), key, fingerprints)
}

// first returns the run that was started with an idempotency key, and such inputs.
func (h *Host) first(ctx context.Context, id, key, fingerprints string) (host.Run, error) {
	d, err := h.client.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return host.Run{}, notFound(id, err)
	}
	var before string
	if err := h.memo(d.GetWorkflowExecutionInfo().GetMemo(), inputsMemo, &before); err != nil {
		return host.Run{}, err
	}
	if !sameInputs(before, fingerprints) {
		return host.Run{}, &host.ReusedError{Run: id, Key: key}
	}
	return headOf(d.GetWorkflowExecutionInfo()), nil
}

func newID() string {
	return strings.ToLower(rand.Text())
}

// fingerprintInputs returns the fingerprints of a start's inputs, separated by spaces.
func (h *Host) fingerprintInputs(s host.Start) (string, error) {
	prints, err := s.Fingerprints(h.hash)
	texts := make([]string, len(prints))
	for i, one := range prints {
		texts[i] = base32.StdEncoding.EncodeToString(one)
	}
	return strings.Join(texts, " "), err
}

// sameInputs reports whether two starts have a fingerprint in common.
func sameInputs(a, b string) bool {
	others := strings.Fields(b)
	return slices.ContainsFunc(strings.Fields(a), func(one string) bool { return slices.Contains(others, one) })
}

// register registers our workflows and activities with a worker.
func (h *Host) register(w worker.Worker) {
	for name, f := range h.workflows() {
		w.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	h.registerActivities(w)
}

func (h *Host) workflows() map[string]any {
	return map[string]any{
		runType: h.run, holdType: holdWorkflow, mailboxType: h.mailbox, eventType: h.event, lockType: h.lock,
		secretType: holdWorkflow, scheduleType: h.schedule, pageType: pageWorkflow, runLockType: holdWorkflow,
	}
}

// notFound returns a *host.NotFoundError for one of the server, and other errors unchanged.
func notFound(run string, err error) error {
	if isNotFound(err) {
		return &host.NotFoundError{What: "run " + run}
	}
	return err
}
