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
	"go.temporal.io/api/serviceerror"
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
			return h.kill(ctx, s, reason)
		}
		if moved, err := h.signal(ctx, s, cancelSignal, reason); err != nil || !moved {
			return err
		}
	}
}

// signal tells a run something, and whether it has ended meanwhile.
func (h *Host) signal(ctx context.Context, s *state, name string, arg any) (moved bool, err error) {
	err = h.client.SignalWorkflow(ctx, s.id(), "", name, arg)
	if missing := (*serviceerror.NotFound)(nil); errors.As(err, &missing) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("tell the run %s: %w", s.id(), err)
	}
	return false, nil
}

// Retry implements host.Host. The run goes on in a further execution of its workflow.
func (h *Host) Retry(ctx context.Context, run string, resend bool) error {
	return h.errand(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Retry(m, run, resend, time.Now())
	}, nil)
}

// Settle implements host.Host.
func (h *Host) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	return h.errand(ctx, run, func(m *machine.Machine) (machine.Event, error) {
		return host.Settle(m, run, step, s, time.Now())
	}, func(doubts []host.UnresolvedCall) (machine.Event, error) {
		return host.SettleUnresolved(doubts, run, step, s, time.Now())
	})
}

// Release implements host.Host. Runs are kept by the server, which is not restored from
// one of our backups: none is ever held for that.
func (h *Host) Release(ctx context.Context, run string) error {
	if _, err := h.client.DescribeWorkflow(ctx, run, ""); err != nil {
		return notFound(run, err)
	}
	return &host.StateError{Run: run, Reason: "it is not held"}
}

// errand brings an event to a run that may have ended; make says which, nil for none, and
// unread does of a run that has ended and cannot be rebuilt; without it, such a run is
// refused.
func (h *Host) errand(ctx context.Context, run string, make func(*machine.Machine) (machine.Event, error), unread func([]host.UnresolvedCall) (machine.Event, error)) error {
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
		var doubts []host.UnresolvedCall
		mismatch := (*machine.MismatchError)(nil)
		switch {
		case errors.As(err, &mismatch) && unread != nil && !s.open:
			doubts = s.doubts(m)
		case s.stuck != nil:
			return &host.StateError{Run: run, Reason: err.Error(), Hint: "cancel it first, or start a daemon that knows its flow"}
		case err != nil:
			return &host.StateError{Run: run, Reason: err.Error()}
		case m == nil && s.lost != "":
			return &host.StateError{Run: run, Reason: s.lost, Hint: "start a new run"}
		case m == nil:
			return &host.StateError{Run: run, Reason: "it has not begun: " + string(s.record.Status)}
		case s.open && m.Result() != nil: // its end is on its way
			if err := h.waitALittle(ctx); err != errMoved {
				return err
			}
			continue
		}
		var event machine.Event
		if mismatch != nil {
			event, err = unread(doubts)
		} else {
			event, err = make(m)
		}
		if mismatch == nil && errors.As(err, new(*host.StateError)) && s.lost != "" && m.Result() == nil {
			refused := &host.StateError{Run: run, Reason: s.lost, Hint: "start a new run"}
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
				if ctx, release, err = h.alone(ctx, run); err != nil {
					return err
				}
				continue // it may have gone on, and ended again
			}
			events := []machine.Event{event}
			if s.lost != "" { // what it would do next it does not
				events = []machine.Event{machine.CancelRequested{At: time.Now(), Reason: s.lost}, event}
			} else if again, ok := event.(machine.Retried); ok { // not to make again what, as is known by now, happened
				if s.reset && !again.Resend {
					return &host.StateError{
						Run: run, Reason: "somebody reset its workflow on the server, and what it had done after that point may be done twice",
						Hint: "see what it has sent, and start a new run for the rest, or retry with resend",
					}
				}
				news, err := h.opts.Past.ReadUnapplied(ctx, began.At, m, again.At)
				if err != nil {
					return err
				}
				events = append(news, event)
			}
			if mismatch != nil {
				err = h.hold(ctx, s, len(doubts)-1, events...)
			} else {
				err = h.goOn(ctx, s, m, events...)
			}
			if err != errMoved {
				return err
			}
			continue
		}
		one, err := stored.Encode(nil, event)
		if err != nil {
			return err
		}
		if moved, err := h.signal(ctx, s, settledSignal, one); err != nil || !moved {
			return err
		}
	}
}

// errandTime is how long one may be alone with a run.
const errandTime = 30 * time.Second

// alone waits until nobody else lets a run go on that has ended: what one of two would do
// from what it had read before, the other's news would be missing from. It returns a
// context that ends before that may be somebody else, and what to call then.
func (h *Host) alone(ctx context.Context, run string) (context.Context, func(), error) {
	id := h.name("errand", run)
	for {
		mine, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: id, TaskQueue: h.opts.Queue, WorkflowRunTimeout: errandTime,
			WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
		}, errandType)
		if exists := (*serviceerror.WorkflowExecutionAlreadyStarted)(nil); errors.As(err, &exists) {
			if err := h.waitALittle(ctx); err != errMoved {
				return ctx, nil, err
			}
			continue
		}
		if err != nil {
			return ctx, nil, fmt.Errorf("let the run go on: %w", err)
		}
		short, cancel := context.WithTimeout(ctx, errandTime*2/3)
		return short, func() {
			cancel()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), errandTime)
			defer cancel()
			_ = h.client.TerminateWorkflow(ctx, id, mine.GetRunID(), "done") // or it ends by itself
		}, nil
	}
}

// goOn begins a further execution of a run that has ended, with what happened since.
func (h *Host) goOn(ctx context.Context, s *state, m *machine.Machine, events ...machine.Event) error {
	for _, event := range events {
		if err := m.Apply(event); err != nil {
			return err
		}
	}
	in := s.in
	in.Over = nil
	return h.another(ctx, s, in, m.Result() == nil, len(m.Unknown()), events)
}

// another begins a further execution of a run that has ended, where it goes on or not. The
// earlier one, all of which it holds, is deleted.
func (h *Host) another(ctx context.Context, s *state, in input, goesOn bool, unknown int, events []machine.Event) error {
	all := chronicle{events: append(slices.Clip(in.Events), encodeAll(events...)...), pages: slices.Clip(s.pages), filed: s.filed}
	if err := h.file(ctx, s.id(), &all, in.inline()); err != nil {
		return err
	}
	in.Pages, in.Events = all.pages, all.loose()
	if s.record.Began != nil {
		in.Began = s.record.Began
	}
	in.Reset = s.reset && !goesOn
	if in.Free = true; goesOn {
		if err := h.findTurn(ctx, &in, s.id(), len(all.events)); err != nil {
			return err
		}
	}
	attributes := []temporal.SearchAttributeUpdate{
		flowKey.ValueSet(in.Flow), digestKey.ValueSet(in.Digest), startedKey.ValueSet(in.Start.At.UnixMicro()),
	}
	if in.By != "" {
		attributes = append(attributes, byKey.ValueSet(in.By[:min(len(in.By), maxBy)]))
	}
	if in.Turn {
		attributes = append(attributes, statusKey.ValueSet(string(host.Queued)))
	}
	before := s.execution.TypedSearchAttributes
	if recipients, ok := before.GetKeywordList(recipientKey); ok {
		attributes = append(attributes, recipientKey.ValueSet(recipients))
	}
	if unknown > 0 {
		attributes = append(attributes, unknownKey.ValueSet(int64(unknown)))
	}
	var print string
	if err := h.memo(s.execution.Memo, printMemo, &print); err != nil {
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
		Memo:                                     map[string]any{printMemo: print},
	}, runType, in)
	if exists := (*serviceerror.WorkflowExecutionAlreadyStarted)(nil); errors.As(err, &exists) {
		return errMoved
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
