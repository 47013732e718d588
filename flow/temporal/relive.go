package temporal

import (
	"context"
	"maps"
	"slices"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// relive finds out what had happened to a run that the server ended, because somebody
// terminated its workflow: such a run had no say. Its history is replayed, and the calls
// that were under way get the outcome that the history has, or are unknown.
func (h *Host) relive(ctx context.Context, s *state) error {
	history, err := h.history(ctx, s)
	if err != nil {
		return err
	}
	r, err := h.reenact(history, workflow.Execution(s.execution.WorkflowExecution))
	if err != nil { // as by a version of us that knows its flow no more
		s.in.Events = append(s.in.Events, encodeAll(h.glean(history)...)...)
		return err
	}
	if r == nil || r.m == nil { // it had not begun
		return nil
	}
	s.in.Events, s.pages, s.filed = r.all.events, r.all.pages, r.all.filed
	s.record.Began = r.began
	answers := map[string]call.Outcome{}
	for _, event := range h.glean(history) {
		if a, ok := event.(machine.Answered); ok {
			answers[a.Key] = a.Outcome
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.made)) {
		outcome, known := answers[key]
		if !known {
			outcome = host.UnknownOutcome("the server ended the run while the call was made: it may have happened")
		}
		one, err := stored.Encode(nil, machine.Answered{At: s.record.Ended, Key: key, Outcome: outcome})
		if err != nil {
			return err
		}
		s.in.Events = append(s.in.Events, one)
	}
	return nil
}

// history returns what the server has of an execution so far.
func (h *Host) history(ctx context.Context, s *state) (*historypb.History, error) {
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

// reenact replays the history of a run, and returns the run as it was then, nil when it was
// not taken up.
func (h *Host) reenact(history *historypb.History, of workflow.Execution) (*runner, error) {
	o := h.opts
	o.OnStep, o.OnEnd = nil, nil
	var last *runner
	again := &Host{opts: o, begun: func(r *runner) { last = r }}
	again.senders.stopped = true
	replayer, err := again.replayer()
	if err == nil {
		err = replayer.ReplayWorkflowHistoryWithOptions(quietly{o.Log}, history, worker.ReplayWorkflowHistoryOptions{OriginalExecution: of})
	}
	return last, err
}

// glean returns what a history says of calls without being replayed.
func (h *Host) glean(history *historypb.History) (events []machine.Event) {
	keys := map[int64]string{}
	for _, e := range history.GetEvents() {
		at := e.GetEventTime().AsTime()
		if scheduled := e.GetActivityTaskScheduledEventAttributes(); isCall(scheduled.GetActivityType().GetName()) {
			var one job
			if h.decode(scheduled.GetInput(), &one) == nil {
				keys[e.GetEventId()] = one.Call.Key
				events = append(events, machine.Taken{At: at, Key: one.Call.Key})
			}
		}
		completed := e.GetActivityTaskCompletedEventAttributes()
		var a answer
		if key := keys[completed.GetScheduledEventId()]; key != "" && h.decode(completed.GetResult(), &a) == nil {
			events = append(events, machine.Answered{At: at, Key: key, Outcome: a.Outcome.Outcome()})
		}
		switch told := e.GetWorkflowExecutionSignaledEventAttributes(); told.GetSignalName() {
		case receiptsSignal:
			var list []stored.Receipt
			if h.decode(told.GetInput(), &list) == nil {
				for _, one := range list {
					events = append(events, machine.Received{At: at, Receipt: one.Receipt()})
				}
			}
		case settledSignal:
			var one stored.Record
			if h.decode(told.GetInput(), &one) != nil {
				continue
			}
			one.At = at
			if event, err := stored.Decode(one); err == nil {
				events = append(events, event)
			}
		}
	}
	return events
}
