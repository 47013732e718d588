package temporal

import (
	"context"
	"maps"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/workflow"
)

// recoverTerminated recovers the events of a run whose workflow was terminated on the server,
// and so returned no record. It replays the history; the calls in flight get the outcome that
// the history has, or are unknown.
func (h *Host) recoverTerminated(ctx context.Context, s *runState) error {
	history, err := h.history(ctx, s)
	if err != nil {
		return err
	}
	r, err := h.replayRun(history, workflow.Execution(s.execution.WorkflowExecution))
	if err != nil { // e.g. its flow does not compile any more
		s.in.Events = append(s.in.Events, encodeAll(h.callEvents(history)...)...)
		return err
	}
	if r == nil || r.m == nil { // it had not begun
		return nil
	}
	s.in.Events, s.pages, s.paged = r.log.events, r.log.pages, r.log.paged
	s.record.Began = r.admittedAt
	answers := map[string]call.Outcome{}
	for _, event := range h.callEvents(history) {
		if a, ok := event.(machine.Answered); ok {
			answers[a.Key] = a.Outcome
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.inFlight)) {
		outcome, known := answers[key]
		if !known {
			outcome = host.UnknownOutcome("the server ended the run while the call was made: it may have happened")
		}
		s.in.Events = append(s.in.Events, encode(machine.Answered{At: s.record.Ended, Key: key, Outcome: outcome}))
	}
	return nil
}

// history returns what the server has of an execution so far.
func (h *Host) history(ctx context.Context, s *runState) (*historypb.History, error) {
	e := s.execution.WorkflowExecution
	var history historypb.History
	for events := h.client.GetWorkflowHistory(ctx, e.ID, e.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		one, err := events.Next()
		if err != nil {
			return nil, notFound(e.ID, err)
		}
		history.Events = append(history.Events, one)
	}
	return &history, nil
}

// replayRun replays the history of a run, and returns the runner as it is after that, nil if no
// worker had begun the run.
func (h *Host) replayRun(history *historypb.History, of workflow.Execution) (*runner, error) {
	o := h.opts
	o.OnStep, o.OnEnd = nil, nil
	apart := newHost(o)
	var last *runner
	apart.onRunner = func(r *runner) { last = r }
	err := replay(apart, history, of)
	return last, err
}

// callEvents returns the events of calls that a history has, without replaying it.
func (h *Host) callEvents(history *historypb.History) (events []machine.Event) {
	keys := map[int64]string{} // by the event that scheduled the call
	for _, e := range history.GetEvents() {
		at := e.GetEventTime().AsTime()
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			scheduled := e.GetActivityTaskScheduledEventAttributes()
			var in callInput
			if isCall(scheduled.GetActivityType().GetName()) && h.decode(scheduled.GetInput(), &in) == nil {
				keys[e.GetEventId()] = in.Call.Key
				events = append(events, machine.Taken{At: at, Key: in.Call.Key})
			}
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			completed := e.GetActivityTaskCompletedEventAttributes()
			var a callResult
			if key := keys[completed.GetScheduledEventId()]; key != "" && h.decode(completed.GetResult(), &a) == nil {
				events = append(events, machine.Answered{At: at, Key: key, Outcome: a.Outcome.Outcome()})
			}
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			signal := e.GetWorkflowExecutionSignaledEventAttributes()
			events = append(events, h.signalEvents(at, signal.GetSignalName(), signal.GetInput())...)
		}
	}
	return events
}

// signalEvents returns the events of calls of which a signal told a run.
func (h *Host) signalEvents(at time.Time, name string, arg *commonpb.Payloads) (events []machine.Event) {
	switch name {
	case receiptsSignal:
		var list []stored.Receipt
		_ = h.decode(arg, &list)
		for _, r := range list {
			events = append(events, machine.Received{At: at, Receipt: r.Receipt()})
		}
	case settledSignal:
		var rec stored.Record
		_ = h.decode(arg, &rec)
		rec.At = at
		if event, err := stored.Decode(rec); err == nil {
			events = append(events, event)
		}
	}
	return events
}
