package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Cancel implements host.Host.
func (h *Host) Cancel(ctx context.Context, run, reason string) error {
	for {
		s, err := h.load(ctx, run)
		if err != nil {
			return err
		}
		if !s.open || s.record.Status != machine.Running && !s.record.Ended.IsZero() {
			return &host.StateError{Run: run, Reason: "it has ended: " + string(s.record.Status)}
		}
		if s.stuck != nil {
			return h.cancelStuck(ctx, s, reason)
		}
		if changed, err := h.signal(ctx, s, cancelSignal, reason); err != nil || !changed {
			return err
		}
	}
}

// signal signals a run, and reports whether it has changed meanwhile: it is not open.
func (h *Host) signal(ctx context.Context, s *runState, name string, arg any) (changed bool, err error) {
	err = h.client.SignalWorkflow(ctx, s.id(), "", name, arg)
	if isNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("tell the run %s: %w", s.id(), err)
	}
	return false, nil
}

// Retry implements host.Host. The run goes on in a new execution of its workflow.
func (h *Host) Retry(ctx context.Context, run string, resend bool) error {
	return h.applyToRun(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Retry(m, run, resend, time.Now())
	}, nil)
}

// Settle implements host.Host.
func (h *Host) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	return h.applyToRun(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Settle(m, run, step, s, time.Now())
	}, func(unresolved []host.UnresolvedCall) (machine.Event, error) {
		return host.SettleUnresolved(unresolved, run, step, s, time.Now())
	})
}

// Release implements host.Host. No run is ever held because of a restored backup here: the
// server keeps the runs, and we make no backups of it.
func (h *Host) Release(ctx context.Context, run string) error {
	if _, err := h.client.DescribeWorkflow(ctx, run, ""); err != nil {
		return notFound(run, err)
	}
	return &host.StateError{Run: run, Reason: "it is not held"}
}

// applyToRun applies an event to a run, which may have ended. makeEvent returns it, nil for none.
// If the run has ended and cannot be rebuilt, makeFromUnresolved does instead; if that is nil, such
// a run is refused.
func (h *Host) applyToRun(ctx context.Context, run string, makeEvent func(*machine.Machine) (machine.Event, error), makeFromUnresolved func([]host.UnresolvedCall) (machine.Event, error)) error {
	var release func()
	defer func() {
		if release != nil {
			release()
		}
	}()
	for {
		s, err := h.load(ctx, run)
		if err != nil {
			return err
		}
		m, began, err := s.machine(h, nil)
		var unresolved []host.UnresolvedCall
		mismatch := (*machine.MismatchError)(nil)
		switch {
		case errors.As(err, &mismatch) && makeFromUnresolved != nil && !s.open:
			unresolved = s.unresolvedCalls(m)
		case s.stuck != nil:
			return &host.StateError{Run: run, Reason: err.Error(), Hint: "cancel it first, or start a daemon that knows its flow"}
		case err != nil:
			return &host.StateError{Run: run, Reason: err.Error()}
		case m == nil && s.serverEnd != "":
			return &host.StateError{Run: run, Reason: s.serverEnd, Hint: "start a new run"}
		case m == nil:
			return &host.StateError{Run: run, Reason: "it has not begun: " + string(s.record.Status)}
		case s.open && m.Result() != nil: // it is about to end
			if err := h.backOff(ctx); err != errChanged {
				return err
			}
			continue
		}
		var event machine.Event
		if mismatch != nil {
			event, err = makeFromUnresolved(unresolved)
		} else {
			event, err = makeEvent(m)
		}
		if mismatch == nil && errors.As(err, new(*host.StateError)) && s.serverEnd != "" && m.Result() == nil {
			refused := &host.StateError{Run: run, Reason: s.serverEnd, Hint: "start a new run"}
			if len(m.Unknown()) > 0 {
				refused.Hint = "settle what is unknown: the run ends as cancelled then, and can be retried"
			}
			return refused
		}
		if err != nil || event == nil {
			return err
		}
		if !s.open {
			if release == nil {
				if ctx, release, err = h.lockRun(ctx, run); err != nil {
					return err
				}
				continue // it may have changed before the lock was ours
			}
			events := []machine.Event{event}
			if s.serverEnd != "" { // it does not go on: it ends as cancelled
				events = []machine.Event{machine.CancelRequested{At: time.Now(), Reason: s.serverEnd}, event}
			} else if retried, ok := event.(machine.Retried); ok { // receipts that came since may show that a call happened
				if s.reset && !retried.Resend {
					return &host.StateError{
						Run: run, Reason: "somebody reset its workflow on the server, and what it had done after that point may be done twice",
						Hint: "see what it has sent, and start a new run for the rest, or retry with resend",
					}
				}
				receipts, err := h.opts.Past.ReadUnapplied(ctx, began.At, m, retried.At)
				if err != nil {
					return err
				}
				events = append(receipts, event)
			}
			if mismatch != nil {
				err = h.storeFinal(ctx, s, len(unresolved)-1, events...)
			} else {
				err = h.continueRun(ctx, s, m, events...)
			}
			if err != errChanged {
				return err
			}
			continue
		}
		one, err := stored.Encode(nil, event)
		if err != nil {
			return err
		}
		if changed, err := h.signal(ctx, s, settledSignal, one); err != nil || !changed {
			return err
		}
	}
}

// runLockTime bounds how long a run's lock is held.
const runLockTime = 30 * time.Second

// lockRun locks a run that has ended against others that want to start a new execution of it:
// each would start it from the events that it has read, without those of the other. The lock
// is a workflow that does nothing. lockRun waits for it, and returns a context that ends
// before the lock does, and what to call in the end.
func (h *Host) lockRun(ctx context.Context, run string) (context.Context, func(), error) {
	id := h.workflowID("errand", run)
	for {
		lock, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: id, TaskQueue: h.opts.Queue, WorkflowRunTimeout: runLockTime,
			WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
		}, runLockType)
		if isStarted(err) {
			if err := h.backOff(ctx); err != errChanged {
				return ctx, nil, err
			}
			continue
		}
		if err != nil {
			return ctx, nil, fmt.Errorf("let the run go on: %w", err)
		}
		short, cancel := context.WithTimeout(ctx, runLockTime*2/3)
		return short, func() {
			cancel()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), runLockTime)
			defer cancel()
			_ = h.client.TerminateWorkflow(ctx, id, lock.GetRunID(), "done") // if that fails it times out
		}, nil
	}
}

// continueRun applies events to a run that has ended, and starts a new execution of it.
func (h *Host) continueRun(ctx context.Context, s *runState, m *machine.Machine, events ...machine.Event) error {
	for _, event := range events {
		if err := m.Apply(event); err != nil {
			return err
		}
	}
	in := s.in
	in.Final = nil
	return h.newExecution(ctx, s, in, m.Result() == nil, len(m.Unknown()), events)
}

// newExecution starts a new execution of a run that has ended; goesOn says whether the run
// does. The new one has all events of the earlier one, which is deleted.
func (h *Host) newExecution(ctx context.Context, s *runState, in input, goesOn bool, unknown int, events []machine.Event) error {
	all := eventLog{events: append(slices.Clip(in.Events), encodeAll(events...)...), pages: slices.Clip(s.pages), paged: s.paged}
	if err := h.writePages(ctx, s.id(), &all, in.maxInlineBytes()); err != nil {
		return err
	}
	in.Pages, in.Events = all.pages, all.unpaged()
	if s.record.Began != nil {
		in.Began = s.record.Began
	}
	in.Reset = s.reset && !goesOn
	if in.Unlocked = true; goesOn {
		if err := h.reacquireLock(ctx, &in, s.id(), len(all.events)); err != nil {
			return err
		}
	}
	attributes := []temporal.SearchAttributeUpdate{
		flowKey.ValueSet(in.Flow), digestKey.ValueSet(in.Digest), startedKey.ValueSet(in.Start.At.UnixMicro()),
	}
	if in.By != "" {
		attributes = append(attributes, byKey.ValueSet(in.By[:min(len(in.By), maxBy)]))
	}
	if in.AwaitsTurn {
		attributes = append(attributes, statusKey.ValueSet(string(host.Queued)))
	}
	before := s.execution.TypedSearchAttributes
	if recipients, ok := before.GetKeywordList(recipientKey); ok {
		attributes = append(attributes, recipientKey.ValueSet(recipients))
	}
	if unknown > 0 {
		attributes = append(attributes, unknownKey.ValueSet(int64(unknown)))
	}
	var fingerprints string
	if err := h.memo(s.execution.Memo, inputsMemo, &fingerprints); err != nil {
		return err
	}
	taskTime := h.taskTime()
	if len(in.Pages) > 0 {
		taskTime = pagedTaskTime
	}
	_, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: s.id(), TaskQueue: h.opts.Queue, WorkflowTaskTimeout: taskTime,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
		Memo:                                     map[string]any{inputsMemo: fingerprints},
	}, runType, in)
	if isStarted(err) {
		return errChanged
	}
	if err != nil {
		return fmt.Errorf("let the run go on: %w", err)
	}
	e := s.execution.WorkflowExecution
	_, err = h.client.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: h.opts.Namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: e.ID, RunId: e.RunID},
	})
	if err != nil {
		h.opts.Log.Warn("an earlier execution of a run was not deleted, and lists show both", "run", e.ID, "execution", e.RunID, "error", err)
	}
	return nil
}
