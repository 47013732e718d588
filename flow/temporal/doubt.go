package temporal

import (
	"context"
	"fmt"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// doubts returns the calls of a run that cannot be rebuilt of which nobody knows what
// became. m is as much as could be rebuilt, nil: nothing.
func (s *state) doubts(m *machine.Machine) []host.UnresolvedCall {
	var events []machine.Event
	for _, one := range s.in.Events {
		if event, err := stored.Decode(one); err == nil {
			events = append(events, event)
		}
	}
	return host.UnresolvedCalls(m, events)
}

// hold keeps what is known of a run that has ended and cannot be rebuilt in a further
// execution, which does nothing.
func (h *Host) hold(ctx context.Context, s *state, unknown int, events ...machine.Event) error {
	in := s.in
	over := s.record
	if s.lost != "" {
		over.Status = machine.Cancelled
	}
	over.Pages = nil
	in.Over = &over
	return h.another(ctx, s, in, false, unknown, events)
}

// stuckTime is how long a run may take to tell of itself before it is looked whether it can.
const stuckTime = time.Second

// readStuck finds out whether a run that does not answer stands still because its flow does
// not compile, and what is known of it then.
func (h *Host) readStuck(ctx context.Context, s *state) error {
	history, err := h.history(ctx, s)
	if err != nil || len(history.Events) == 0 {
		return err
	}
	var in input
	if err := h.decode(history.Events[0].GetWorkflowExecutionStartedEventAttributes().GetInput(), &in); err != nil || in.Over != nil || in.Rejected {
		return err
	}
	if _, s.stuck = h.plan(&in); s.stuck == nil {
		return nil
	}
	s.in, s.record = in, record{Status: machine.Running}
	s.in.Events = append(s.in.Events, encodeAll(h.glean(history)...)...)
	return s.gather(ctx, h)
}

// kill ends a run that stands still, as cancelled.
func (h *Host) kill(ctx context.Context, s *state, reason string) error {
	e := s.execution.WorkflowExecution
	if err := h.client.TerminateWorkflow(ctx, e.ID, e.RunID, "cancelled, because "+s.stuck.Error()); err != nil {
		return fmt.Errorf("cancel the run %s: %w", e.ID, err)
	}
	ctx, release, err := h.alone(ctx, e.ID)
	if err != nil {
		return err
	}
	defer release()
	if s, err = h.load(ctx, e.ID); err != nil || s.open || s.lost == "" {
		return err
	}
	m, _, err := s.machine(h, nil)
	if err == nil {
		return nil // it compiles by now
	}
	return h.hold(ctx, s, len(s.doubts(m)), machine.CancelRequested{At: time.Now(), Reason: reason})
}
