package temporal

import (
	"cmp"
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
	lock, claimed, err := h.acquireLock(ctx, p, s.Inputs, id)
	if err != nil {
		return host.Run{}, false, err
	}
	in.Lock, in.Queued, in.Rejected = lock, claimed.Queued, claimed.Rejected
	options := h.runOptions(id, &in, fingerprints, h.firstRecipients(h.plans.Put(p), start), 0)
	options.EnableEagerStart, options.WorkflowIDReusePolicy = true, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	begun, err := h.client.ExecuteWorkflow(ctx, options, runType, in)
	if isStarted(err) {
		run, err := h.first(ctx, id, s.Key, fingerprints)
		return run, false, err
	}
	if err != nil {
		return host.Run{}, false, fmt.Errorf("start the run: %w", err)
	}
	h.started.add(id, begun.GetRunID(), in)
	run := host.Run{ID: id, Flow: p.Name, Digest: p.Digest, Status: cmp.Or(in.status(), machine.Running), By: s.By, Started: start.At}
	if in.Rejected {
		run.Ended = start.At
	}
	return run, true, nil
}

const (
	// maxBy bounds host.Run.By in the search attribute, in bytes.
	maxBy = 200
	// inputsMemo is the memo with the fingerprints of a run's inputs, which tell whether an
	// idempotency key is used again with other inputs.
	inputsMemo = "inputs"
)

// newWorkflow returns the options of a workflow that is only started if none of that id is open.
func (h *Host) newWorkflow(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: h.opts.Queue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}
}

// runOptions returns the options of an execution of a run. recipients are hashed.
func (h *Host) runOptions(id string, in *input, fingerprints string, recipients []string, unknown int) client.StartWorkflowOptions {
	attributes := []temporal.SearchAttributeUpdate{
		flowKey.ValueSet(in.Flow), digestKey.ValueSet(in.Digest), startedKey.ValueSet(in.Start.At.UnixMicro()),
	}
	if in.By != "" {
		attributes = append(attributes, byKey.ValueSet(in.By[:min(len(in.By), maxBy)]))
	}
	if status := in.status(); status != "" {
		attributes = append(attributes, statusKey.ValueSet(string(status)))
	}
	if len(recipients) > 0 {
		attributes = append(attributes, recipientKey.ValueSet(recipients))
	}
	if unknown > 0 {
		attributes = append(attributes, unknownKey.ValueSet(int64(unknown)))
	}
	o := h.newWorkflow(id)
	o.TypedSearchAttributes = temporal.NewSearchAttributes(attributes...)
	o.Memo = map[string]any{inputsMemo: fingerprints}
	// The task time-out is how long a worker may take to decide what the run does next, before
	// another one does.
	o.WorkflowTaskTimeout = min(max(h.opts.Lost, time.Second), 10*time.Second)
	if len(in.Pages) > 0 {
		o.WorkflowTaskTimeout = pagedTaskTime
	}
	return o
}

// firstRecipients returns the hashed recipients of the first calls of a new run, which a machine
// tells, and lets this process work for their senders.
func (h *Host) firstRecipients(p *host.CachedPlan, start machine.Start) (recipients []string) {
	for _, c := range machine.New(p.Plan, start).Next() {
		c, ok := c.(*machine.Call)
		if !ok {
			continue
		}
		if to := h.recipient(p, &c.Call); to != "" && len(recipients) < maxRecipients && !slices.Contains(recipients, to) {
			recipients = append(recipients, to)
		}
		if i := slices.IndexFunc(c.Limits, isShared); i >= 0 {
			h.senderQueue(h.opts.Queue, c.Limits[i])
		}
	}
	return recipients
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
