package temporal

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Start implements host.Host.
func (h *Host) Start(ctx context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	if h.isStopping() {
		return host.Run{}, false, &host.StoppingError{}
	}
	id := newID()
	if s.Key != "" {
		id = host.KeyedID(h.opts.Hash, p.Name, s.Key)
	}
	print, err := h.printInputs(s)
	if err != nil {
		return host.Run{}, false, err
	}
	start := machine.Start{Run: id, At: time.Now().UTC().Truncate(time.Microsecond), Inputs: s.Inputs, Seed: host.NewSeed(), Receipts: h.opts.Receipts}
	first, err := stored.EncodeStart(nil, start)
	if err != nil {
		return host.Run{}, false, err
	}
	in := input{
		Machine: machine.Version, Flow: p.Name, Digest: p.Digest, Sources: p.Texts, Start: first, By: s.By, Past: h.opts.Past != nil, Begins: true, Looks: h.opts.Past != nil,
	}
	if err := h.checkSize("what the run begins with", in, len(first.Body)+weightOf(p.Texts)); err != nil {
		return host.Run{}, false, err
	}
	run := host.Run{ID: id, Flow: p.Name, Digest: p.Digest, Status: machine.Running, By: s.By, Started: start.At}
	spot, err := h.findPlace(ctx, p, s.Inputs, id)
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
		Memo:                                     map[string]any{printMemo: print},
	}, runType, in)
	if exists := (*serviceerror.WorkflowExecutionAlreadyStarted)(nil); errors.As(err, &exists) {
		run, err := h.first(ctx, id, s.Key, print)
		return run, false, err
	}
	if err != nil {
		return host.Run{}, false, fmt.Errorf("start the run: %w", err)
	}
	h.fresh.keep(id, begun.GetRunID(), in)
	return run, true, nil
}

// taskTime is how long a worker may decide what a run does next, before another one does.
func (h *Host) taskTime() time.Duration { return min(max(h.opts.Lost, time.Second), 10*time.Second) }

// maxBy bounds what starts a run, in bytes, as lists show it.
const maxBy = 200

// printMemo is what tells whether a key is used again with other inputs.
const printMemo = "inputs"

// firstAttributes are what lists find a run by that begins. Whom it writes to first is
// already known: the machine tells.
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
	print, err := h.printInputs(host.Start{Inputs: inputs})
	if err != nil {
		return host.Run{}, err
	}
	return h.first(ctx, host.KeyedID(h.opts.Hash, flow, key), key, print)
}

// first returns the run that a key began before.
func (h *Host) first(ctx context.Context, id, key, print string) (host.Run, error) {
	d, err := h.client.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return host.Run{}, notFound(id, err)
	}
	var before string
	if err := h.memo(d.GetWorkflowExecutionInfo().GetMemo(), printMemo, &before); err != nil {
		return host.Run{}, err
	}
	if !alike(before, print) {
		return host.Run{}, &host.ReusedError{Run: id, Key: key}
	}
	return headOf(d.GetWorkflowExecutionInfo()), nil
}

func newID() string {
	return strings.ToLower(rand.Text())
}

// printInputs returns the prints of a start, with a space between them.
func (h *Host) printInputs(s host.Start) (string, error) {
	prints, err := s.Fingerprints(h.hash)
	texts := make([]string, len(prints))
	for i, one := range prints {
		texts[i] = base32.StdEncoding.EncodeToString(one)
	}
	return strings.Join(texts, " "), err
}

// alike tells whether two starts have a print in common.
func alike(a, b string) bool {
	others := strings.Fields(b)
	return slices.ContainsFunc(strings.Fields(a), func(one string) bool { return slices.Contains(others, one) })
}

// register tells a worker what it works on.
func (h *Host) register(w worker.Worker) {
	for name, f := range h.workflows() {
		w.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	h.registerActivities(w)
}

func (h *Host) workflows() map[string]any {
	return map[string]any{
		runType: h.run, holdType: holdWorkflow, mailboxType: h.mailbox, eventType: h.event, lockType: h.lock,
		secretType: holdWorkflow, scheduleType: h.schedule, pageType: pageWorkflow, errandType: holdWorkflow,
	}
}

// notFound is an error of the server in the words of host.Host.
func notFound(run string, err error) error {
	if missing := (*serviceerror.NotFound)(nil); errors.As(err, &missing) {
		return &host.NotFoundError{What: "run " + run}
	}
	return err
}
