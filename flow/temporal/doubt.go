package temporal

import (
	"context"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
)

// doubts returns the calls of a run that cannot be rebuilt of which nobody knows what
// became. m is as much as could be rebuilt, nil: nothing.
func (s *state) doubts(m *machine.Machine) []host.Doubt {
	var events []machine.Event
	for _, one := range s.in.Events {
		if event, err := stored.Decode(one); err == nil {
			events = append(events, event)
		}
	}
	return host.Doubts(m, events)
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
