package temporal

import (
	"context"
	"fmt"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// unresolvedCalls returns the calls with an unknown outcome of a run that cannot be rebuilt. m is as
// much as could be rebuilt, nil if nothing.
func (s *runState) unresolvedCalls(m *machine.Machine) []host.UnresolvedCall {
	var events []machine.Event
	for _, rec := range s.in.Events {
		if event, err := stored.Decode(rec); err == nil {
			events = append(events, event)
		}
	}
	return host.UnresolvedCalls(m, events)
}

// unknown returns how many calls with an unknown outcome a run has. m is its machine, or as much as
// could be rebuilt, nil if nothing.
func (s *runState) unknown(m *machine.Machine, mismatch bool) int {
	switch {
	case mismatch:
		return len(s.unresolvedCalls(m))
	case m == nil:
		return 0
	}
	return len(m.Unknown())
}

// storeFinal stores further events of a run that has ended and cannot be rebuilt, in a new
// execution that ends at once.
func (h *Host) storeFinal(ctx context.Context, s *runState, unknown int, events ...machine.Event) error {
	in := s.in
	final := s.record
	if s.serverEnd != "" {
		final.Status = machine.Cancelled
	}
	final.Pages = nil
	in.Final = &final
	return h.newExecution(ctx, s, in, false, unknown, events)
}

// stuckTime is how long a run may take to answer a query before load checks whether it is
// stuck.
const stuckTime = time.Second

// readStuck sets s.stuck if a run does not answer because its flow does not compile, and then
// reads what its history says.
func (h *Host) readStuck(ctx context.Context, s *runState) error {
	history, err := h.history(ctx, s)
	if err != nil || len(history.Events) == 0 {
		return err
	}
	var in input
	if err := h.decode(history.Events[0].GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil || in.Final != nil || in.Rejected {
		return err
	}
	if _, s.stuck = h.plan(&in); s.stuck == nil {
		return nil
	}
	s.in, s.record = in, record{Status: machine.Running}
	s.in.Events = append(s.in.Events, encodeAll(h.callEvents(history)...)...)
	return s.loadPages(ctx, h)
}

// cancelStuck ends a stuck run as cancelled.
func (h *Host) cancelStuck(ctx context.Context, s *runState, reason string) error {
	e := s.execution.WorkflowExecution
	if err := h.client.TerminateWorkflow(ctx, e.ID, e.RunID, "cancelled, because "+s.stuck.Error()); err != nil {
		return fmt.Errorf("cancel the run %s: %w", e.ID, err)
	}
	ctx, release, err := h.lockRun(ctx, e.ID)
	if err != nil {
		return err
	}
	defer release()
	if s, err = h.load(ctx, e.ID); err != nil || s.open || s.serverEnd == "" {
		return err
	}
	m, _, err := s.machine(h, nil)
	if err == nil {
		return nil // its flow compiles by now
	}
	return h.storeFinal(ctx, s, len(s.unresolvedCalls(m)), machine.CancelRequested{At: time.Now(), Reason: reason})
}
