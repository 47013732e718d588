package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// plan returns the plan of a run.
func (h *Host) plan(in *input) (*host.CachedPlan, error) {
	return h.plans.Get(in.Digest, func() (*plan.Plan, error) {
		p, err := h.opts.Restore(in.Flow, in.Sources)
		switch {
		case err != nil:
			return nil, fmt.Errorf("its flow no longer compiles: %w", err)
		case p.Digest != in.Digest:
			return nil, errors.New("its flow has changed since the run started")
		}
		return p, nil
	})
}

// rebuild makes the machine of a run from its stored events. began is when it did, if it was
// queued. each is called with every event before that is applied; it may be nil.
func rebuild(p *plan.Plan, start machine.Start, began *time.Time, events []stored.Record, each func(m *machine.Machine, e machine.Event)) (*machine.Machine, error) {
	if began != nil {
		start.At = *began
	}
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	m := machine.New(p, start)
	for _, one := range events {
		event, err := stored.Decode(one)
		if err != nil {
			return m, err
		}
		if each != nil {
			each(m, event)
		}
		if err := m.Apply(event); err != nil {
			return m, err
		}
	}
	return m, nil
}

// A runState is what the server has of a run.
type runState struct {
	execution client.WorkflowExecutionMetadata
	open      bool
	reset     bool     // it has ended, and an operator reset it before: it may have done more than is known
	in        input    // Events: all, also those on pages and those of the record
	record    record   // without its events
	pages     []string // have the first events …
	paged     int      // … this many
	held      []heldCall
	serverEnd string // why the server ended the workflow before the run had ended; "": it did not
	stuck     error  // why it makes no progress
}

// load reads a run.
func (h *Host) load(ctx context.Context, run string) (*runState, error) {
	checked := false
	for began := time.Now(); ; {
		s, err := h.read(ctx, run)
		if err != errChanged {
			return s, err
		}
		if s.open && !checked && time.Since(began) > stuckTime {
			checked = true
			if err := h.readStuck(ctx, s); err != nil || s.stuck != nil {
				return s, err
			}
		}
		if time.Since(began) > answerTimeout {
			return nil, fmt.Errorf("the run %s does not answer: does a daemon of the version that started it work on the task queue %s?", run, h.opts.Queue)
		}
		if !host.Sleep(ctx, changeDelay) {
			return nil, ctx.Err()
		}
	}
}

// read is one attempt of load. After errChanged its state has only what the server knows of the
// workflow.
func (h *Host) read(ctx context.Context, run string) (*runState, error) {
	d, err := h.client.DescribeWorkflow(ctx, run, "")
	if err != nil {
		return nil, notFound(run, err)
	}
	if d.WorkflowType.Name != runType {
		return nil, &host.NotFoundError{What: "run " + run}
	}
	s := &runState{execution: d.WorkflowExecutionMetadata, open: d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING}
	if s.open {
		return s, h.query(ctx, s)
	}
	return s, h.readClosed(ctx, s)
}

// answerTimeout is how long a run may take to answer a query.
const answerTimeout = 45 * time.Second

// errChanged says that the run has changed meanwhile: it is to be loaded again, after changeDelay
// if nothing has to be waited for.
var errChanged = errors.New("the run has gone on")

const changeDelay = 20 * time.Millisecond

// query reads an open run by querying its workflow.
func (h *Host) query(ctx context.Context, s *runState) error {
	e := s.execution.WorkflowExecution
	part, err := h.queryPart(ctx, s, reportRequest{})
	for err == nil {
		s.in.Events, s.record, s.held = append(s.in.Events, part.Record.Events...), part.Record, part.Held
		if s.record.Events = nil; len(s.in.Events) >= part.Total {
			return nil
		}
		part, err = h.queryPart(ctx, s, reportRequest{Rest: true, From: len(s.in.Events)})
	}
	if ctx.Err() == nil && (errors.As(err, new(*serviceerror.WorkflowNotReady)) || errors.As(err, new(*serviceerror.QueryFailed)) || isLate(err)) {
		return errChanged
	}
	return fmt.Errorf("ask the run %s: %w", e.ID, err)
}

func (h *Host) queryPart(ctx context.Context, s *runState, req reportRequest) (report, error) {
	var part report
	e := s.execution.WorkflowExecution
	value, err := h.client.QueryWorkflow(ctx, e.ID, e.RunID, reportQuery, req)
	if err == nil {
		err = value.Get(&part)
	}
	if err == nil && !req.Rest {
		s.in = part.Input
		s.in.Events = nil
	}
	return part, err
}

// readClosed reads a run that has ended from its history.
func (h *Host) readClosed(ctx context.Context, s *runState) error {
	e := s.execution.WorkflowExecution
	first, err := h.firstEvent(ctx, e.ID, e.RunID)
	if err != nil {
		return notFound(e.ID, err)
	}
	began := first.GetWorkflowExecutionStartedEventAttributes()
	if err := h.decode(began.GetInput(), &s.in); err != nil {
		return err
	}
	s.reset = s.in.Reset || began.GetOriginalExecutionRunId() != e.RunID
	last, err := h.lastEvent(ctx, e.ID, e.RunID)
	if err != nil {
		return notFound(e.ID, err)
	}
	return s.applyEnd(ctx, h, last)
}

func (h *Host) firstEvent(ctx context.Context, id, execution string) (*historypb.HistoryEvent, error) {
	answer, err := h.client.WorkflowService().GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace: h.opts.Namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: execution}, MaximumPageSize: 1,
	})
	if err != nil {
		return nil, err
	}
	if len(answer.GetHistory().GetEvents()) == 0 {
		return nil, fmt.Errorf("the run %s has no history", id)
	}
	return answer.GetHistory().GetEvents()[0], nil
}

// lastEvent waits for the end of an execution, "": the latest, and returns its last event.
func (h *Host) lastEvent(ctx context.Context, id, execution string) (*historypb.HistoryEvent, error) {
	events := h.client.GetWorkflowHistory(ctx, id, execution, true, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !events.HasNext() {
		return nil, fmt.Errorf("the run %s has no end", id)
	}
	return events.Next()
}

// applyEnd completes the state with the last event of the execution.
func (s *runState) applyEnd(ctx context.Context, h *Host, last *historypb.HistoryEvent) error {
	ended := last.GetEventTime().AsTime()
	var result *commonpb.Payloads
	switch last.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
		result = last.GetWorkflowExecutionCompletedEventAttributes().GetResult()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
		result = last.GetWorkflowExecutionCanceledEventAttributes().GetDetails()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
		failure := last.GetWorkflowExecutionFailedEventAttributes().GetFailure()
		if failure.GetApplicationFailureInfo().GetType() == failedType {
			result = failure.GetApplicationFailureInfo().GetDetails()
		} else {
			s.serverEnd = "its workflow failed"
		}
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return errChanged
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
		s.serverEnd = "it was terminated on the server: " + last.GetWorkflowExecutionTerminatedEventAttributes().GetReason()
	default:
		s.serverEnd = "the server ended it"
	}
	if s.serverEnd != "" {
		s.record = record{Status: machine.Failed, Ended: ended}
		err := h.recoverTerminated(ctx, s)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		h.opts.Log.Warn("what had happened to a run that the server ended cannot be read", "run", s.id(), "error", err)
	} else if err := h.decode(result, &s.record); err != nil {
		return err
	}
	return s.loadPages(ctx, h)
}

// loadPages collects the events of all executions, including those on pages.
func (s *runState) loadPages(ctx context.Context, h *Host) error {
	s.pages = s.in.Pages
	if len(s.record.Pages) > 0 {
		s.pages, s.in.Events = s.record.Pages, nil
	}
	paged, err := h.readPages(ctx, s.pages)
	if err != nil {
		return err
	}
	s.paged = len(paged)
	s.in.Events, s.record.Events = slices.Concat(paged, s.in.Events, s.record.Events), nil
	return nil
}

func (h *Host) decode(payloads *commonpb.Payloads, into any) error {
	if err := h.data.FromPayloads(payloads, into); err != nil {
		return fmt.Errorf("read what the server has: %w", err)
	}
	return nil
}

// memo decodes a field of a memo, if it is there.
func (h *Host) memo(m *commonpb.Memo, name string, into any) error {
	p := m.GetFields()[name]
	if p == nil {
		return nil
	}
	return h.decode(&commonpb.Payloads{Payloads: []*commonpb.Payload{p}}, into)
}

// machine rebuilds the machine of a run, nil if it never began.
func (s *runState) machine(h *Host, each func(m *machine.Machine, e machine.Event)) (*machine.Machine, machine.Start, error) {
	start, err := stored.DecodeStart(s.id(), s.in.Start)
	if err == nil && s.stuck != nil {
		err = &machine.MismatchError{Reason: s.stuck.Error()}
	}
	if err != nil || s.record.Status == host.Rejected || s.in.Queued && s.in.Began == nil && s.record.Began == nil {
		return nil, start, err
	}
	p, err := h.plan(&s.in)
	if err != nil {
		return nil, start, &machine.MismatchError{Reason: err.Error()}
	}
	m, err := rebuild(p.Plan, start, cmp.Or(s.record.Began, s.in.Began), s.in.Events, each)
	return m, start, err
}

func (s *runState) id() string { return s.execution.WorkflowExecution.ID }
