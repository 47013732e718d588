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
	"facteur/flow/plan"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// rebuild makes the machine of a run from what is stored of it. each is told of every
// event, before it is applied; it may be nil.
func rebuild(p *plan.Plan, start machine.Start, in input, began *time.Time, each func(m *machine.Machine, e machine.Event), more ...stored.Record) (*machine.Machine, error) {
	if began == nil {
		began = in.Began
	}
	if began != nil { // until then it was queued
		start.At = *began
	}
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	m := machine.New(p, start)
	for _, list := range [][]stored.Record{in.Events, more} {
		for _, one := range list {
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
	}
	return m, nil
}

// A state is a run as the server has it.
type state struct {
	execution client.WorkflowExecutionMetadata
	open      bool
	reset     bool  // of one that has ended: it may have done more than is known
	in        input // with the events of earlier executions, also those on pages
	record    record
	pages     []string // that hold the first of all events …
	filed     int      // … so many
	held      []heldCall
	lost      string // why the server ended it without the run having ended
	stuck     error  // why it stands still
}

// load reads a run.
func (h *Host) load(ctx context.Context, run string) (*state, error) {
	looked := false
	for began := time.Now(); ; {
		d, err := h.client.DescribeWorkflow(ctx, run, "")
		if err != nil {
			return nil, notFound(run, err)
		}
		if d.WorkflowType.Name != runType {
			return nil, &host.NotFoundError{What: "run " + run}
		}
		s := &state{execution: d.WorkflowExecutionMetadata, open: d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING}
		if s.open {
			err = h.ask(ctx, s)
		} else {
			err = h.readBack(ctx, s)
		}
		if err == nil || !errors.Is(err, errMoved) {
			return s, err
		}
		if s.open && !looked && time.Since(began) > stuckTime {
			looked = true
			if err := h.readStuck(ctx, s); err != nil || s.stuck != nil {
				return s, err
			}
		}
		if time.Since(began) > answerTime {
			return nil, fmt.Errorf("the run %s does not answer: does a daemon of the version that started it work on the task queue %s?", run, h.opts.Queue)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// answerTime is how long a run has to tell of itself.
const answerTime = 45 * time.Second

// errMoved says that the run went on meanwhile: it is to be looked at again.
var errMoved = errors.New("the run has gone on")

// ask asks a run that goes on what has happened to it.
func (h *Host) ask(ctx context.Context, s *state) error {
	e := s.execution.WorkflowExecution
	told, err := h.askPart(ctx, s, asked{})
	for err == nil {
		s.in.Events, s.record, s.held = append(s.in.Events, told.Record.Events...), told.Record, told.Held
		if s.record.Events = nil; len(s.in.Events) >= told.Total {
			return nil
		}
		told, err = h.askPart(ctx, s, asked{Rest: true, From: len(s.in.Events)})
	}
	var early *serviceerror.WorkflowNotReady
	var failed *serviceerror.QueryFailed
	var late *serviceerror.DeadlineExceeded
	switch {
	case ctx.Err() == nil && (errors.As(err, &early) || errors.As(err, &failed) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)):
		return h.waitALittle(ctx)
	}
	return fmt.Errorf("ask the run %s: %w", e.ID, err)
}

func (h *Host) askPart(ctx context.Context, s *state, part asked) (report, error) {
	var told report
	e := s.execution.WorkflowExecution
	value, err := h.client.QueryWorkflow(ctx, e.ID, e.RunID, reportQuery, part)
	if err == nil {
		err = value.Get(&told)
	}
	if err == nil && !part.Rest {
		s.in = told.Input
		s.in.Events = nil
	}
	return told, err
}

func (h *Host) waitALittle(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return errMoved
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readBack reads from its history what has happened to a run that has ended.
func (h *Host) readBack(ctx context.Context, s *state) error {
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
	return s.close(ctx, h, last)
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

// lastEvent waits for the end of an execution; execution "" is the latest one.
func (h *Host) lastEvent(ctx context.Context, id, execution string) (*historypb.HistoryEvent, error) {
	events := h.client.GetWorkflowHistory(ctx, id, execution, true, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !events.HasNext() {
		return nil, fmt.Errorf("the run %s has no end", id)
	}
	return events.Next()
}

// close takes how an execution ended.
func (s *state) close(ctx context.Context, h *Host, last *historypb.HistoryEvent) error {
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
			s.lost = "its workflow failed"
		}
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return errMoved
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
		s.lost = "it was terminated on the server: " + last.GetWorkflowExecutionTerminatedEventAttributes().GetReason()
	default:
		s.lost = "the server ended it"
	}
	if s.lost != "" {
		s.record = record{Status: machine.Failed, Ended: ended}
		err := h.relive(ctx, s)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		h.opts.Log.Warn("what had happened to a run that the server ended cannot be read", "run", s.id(), "error", err)
	} else if err := h.decode(result, &s.record); err != nil {
		return err
	}
	return s.gather(ctx, h)
}

// gather brings together what happened in all executions.
func (s *state) gather(ctx context.Context, h *Host) error {
	s.pages = s.in.Pages
	if len(s.record.Pages) > 0 {
		s.pages, s.in.Events = s.record.Pages, nil
	}
	paged, err := h.recallAll(ctx, s.pages)
	if err != nil {
		return err
	}
	s.filed = len(paged)
	s.in.Events, s.record.Events = slices.Concat(paged, s.in.Events, s.record.Events), nil
	return nil
}

func (h *Host) decode(payloads *commonpb.Payloads, into any) error {
	if err := newConverter(h.opts).FromPayloads(payloads, into); err != nil {
		return fmt.Errorf("read what the server has: %w", err)
	}
	return nil
}

func (h *Host) memo(m *commonpb.Memo, name string, into any) error {
	p := m.GetFields()[name]
	if p == nil {
		return nil
	}
	if err := newConverter(h.opts).FromPayload(p, into); err != nil {
		return fmt.Errorf("read what the server has: %w", err)
	}
	return nil
}

// machine rebuilds the machine of a run; nil when it never began.
func (s *state) machine(h *Host, each func(m *machine.Machine, e machine.Event)) (*machine.Machine, machine.Start, error) {
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
	m, err := rebuild(p.Plan, start, s.in, s.record.Began, each, s.record.Events...)
	return m, start, err
}

func (s *state) id() string { return s.execution.WorkflowExecution.ID }
