package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
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
		if err := h.signal(ctx, s, cancelSignal, reason); err != errChanged {
			return err
		}
	}
}

// signal signals an open run; errChanged: it is not open any more.
func (h *Host) signal(ctx context.Context, s *runState, name string, arg any) error {
	switch err := h.client.SignalWorkflow(ctx, s.id(), "", name, arg); {
	case isNotFound(err):
		return errChanged
	case err != nil:
		return fmt.Errorf("tell the run %s: %w", s.id(), err)
	}
	return nil
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

type (
	eventMaker           func(*machine.Machine) (machine.Event, error)
	unresolvedEventMaker func([]host.UnresolvedCall) (machine.Event, error)
)

// An edit is an event that is to be applied to a run as it was read.
type edit struct {
	*runState
	start      machine.Start
	m          *machine.Machine // nil: the run cannot be rebuilt
	unresolved []host.UnresolvedCall
	event      machine.Event // nil: there is nothing to apply
}

// applyToRun applies an event to a run, which may have ended. makeEvent returns it, nil for none.
// If the run has ended and cannot be rebuilt, makeFromUnresolved does instead; if that is nil, such
// a run is refused.
func (h *Host) applyToRun(ctx context.Context, run string, makeEvent eventMaker, makeFromUnresolved unresolvedEventMaker) error {
	for locked := false; ; {
		s, err := h.load(ctx, run)
		if err != nil {
			return err
		}
		e, err := h.newEdit(s, makeEvent, makeFromUnresolved)
		switch {
		case err == errChanged:
			if !host.Sleep(ctx, changeDelay) {
				return ctx.Err()
			}
		case err != nil || e.event == nil:
			return err
		case s.open:
			err = h.signal(ctx, s, settledSignal, encode(e.event))
		case locked:
			err = h.applyToEnded(ctx, e)
		default:
			var release func()
			if ctx, release, err = h.lockRun(ctx, run); err != nil {
				return err
			}
			defer release()
			locked = true
			continue // it may have changed before the lock was ours
		}
		if err != errChanged {
			return err
		}
	}
}

// newEdit makes an event for a run. The error is errChanged if the run is about to end, or says
// why there can be none.
func (h *Host) newEdit(s *runState, makeEvent eventMaker, makeFromUnresolved unresolvedEventMaker) (e edit, err error) {
	e.runState = s
	refuse := func(reason, hint string) (edit, error) {
		return e, &host.StateError{Run: s.id(), Reason: reason, Hint: hint}
	}
	e.m, e.start, err = s.machine(h, nil)
	_, mismatch := errors.AsType[*machine.MismatchError](err)
	switch {
	case mismatch && makeFromUnresolved != nil && !s.open:
		e.m, e.unresolved = nil, s.unresolvedCalls(e.m)
		e.event, err = makeFromUnresolved(e.unresolved)
		return e, err
	case s.stuck != nil:
		return refuse(err.Error(), "cancel it first, or start a daemon that knows its flow")
	case err != nil:
		return refuse(err.Error(), "")
	case e.m == nil && s.serverEnd != "":
		return refuse(s.serverEnd, "start a new run")
	case e.m == nil:
		return refuse("it has not begun: "+string(s.record.Status), "")
	case s.open && e.m.Result() != nil:
		return e, errChanged
	}
	e.event, err = makeEvent(e.m)
	if _, refused := errors.AsType[*host.StateError](err); !refused || s.serverEnd == "" || e.m.Result() != nil {
		return e, err
	}
	if len(e.m.Unknown()) > 0 {
		return refuse(s.serverEnd, "settle what is unknown: the run ends as cancelled then, and can be retried")
	}
	return refuse(s.serverEnd, "start a new run")
}

// applyToEnded applies an event to a run that has ended, and is locked. The error is errChanged
// if it was started again nevertheless.
func (h *Host) applyToEnded(ctx context.Context, e edit) error {
	events := []machine.Event{e.event}
	if e.serverEnd != "" { // it does not go on: it ends as cancelled
		events = []machine.Event{machine.CancelRequested{At: time.Now(), Reason: e.serverEnd}, e.event}
	} else if retried, ok := e.event.(machine.Retried); ok { // receipts that came since may show that a call happened
		if e.reset && !retried.Resend {
			return &host.StateError{
				Run: e.id(), Reason: "somebody reset its workflow on the server, and what it had done after that point may be done twice",
				Hint: "see what it has sent, and start a new run for the rest, or retry with resend",
			}
		}
		receipts, err := h.opts.Past.ReadUnapplied(ctx, e.start.At, e.m, retried.At)
		if err != nil {
			return err
		}
		events = append(receipts, e.event)
	}
	if e.m == nil {
		return h.storeFinal(ctx, e.runState, len(e.unresolved)-1, events...)
	}
	return h.continueRun(ctx, e.runState, e.m, events...)
}

// runLockTime bounds how long a run's lock is held.
const runLockTime = 30 * time.Second

// lockRun locks a run that has ended against others that want to start a new execution of it:
// each would start it from the events that it has read, without those of the other. The lock
// is a workflow that does nothing. lockRun waits for it, and returns a context that ends
// before the lock does, and what to call in the end.
func (h *Host) lockRun(ctx context.Context, run string) (context.Context, func(), error) {
	options := h.newWorkflow(h.workflowID("errand", run))
	options.WorkflowRunTimeout = runLockTime
	for {
		lock, err := h.client.ExecuteWorkflow(ctx, options, runLockType)
		if isStarted(err) {
			if !host.Sleep(ctx, changeDelay) {
				return ctx, nil, ctx.Err()
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
			_ = h.client.TerminateWorkflow(ctx, options.ID, lock.GetRunID(), "done") // if that fails it times out
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
	var fingerprints string
	if err := h.memo(s.execution.Memo, inputsMemo, &fingerprints); err != nil {
		return err
	}
	recipients, _ := s.execution.TypedSearchAttributes.GetKeywordList(recipientKey)
	_, err := h.client.ExecuteWorkflow(ctx, h.runOptions(s.id(), &in, fingerprints, recipients, unknown), runType, in)
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
