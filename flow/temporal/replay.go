package temporal

import (
	"errors"
	"fmt"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
)

// Replay checks that this version executes a run exactly as another one did; the error says
// where it does not. history is that of its workflow, as JSON: what `temporal workflow show
// --output json` writes. Of the options it needs Restore, Catalog, and those that the run was
// started with: Hash, Seal and Open. It connects to no server and makes no calls.
func Replay(o Options, history []byte) error {
	var events historypb.History
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(history, &events); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	if len(events.GetEvents()) == 0 {
		return errors.New("the history is empty")
	}
	began := events.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	return replay(newHost(o), &events, workflow.Execution{ID: began.GetWorkflowId(), RunID: began.GetOriginalExecutionRunId()})
}

// replay replays the history of an execution on a host that is not connected.
func replay(h *Host, history *historypb.History, of workflow.Execution) error {
	h.senders.stopped = true
	r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		DataConverter: h.data, FailureConverter: failures(h.data), DisableRegistrationAliasing: true, DisableDeadlockDetection: true,
	})
	if err != nil {
		return err
	}
	for name, f := range h.workflows() {
		r.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	return r.ReplayWorkflowHistoryWithOptions(sdkLogger{h.opts.Log}, history, worker.ReplayWorkflowHistoryOptions{OriginalExecution: of})
}
