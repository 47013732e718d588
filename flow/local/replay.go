package local

import (
	"context"
	"fmt"

	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// replay rebuilds the machine of a stored run. each is called before each event is applied; it may
// be nil.
func (h *Host) replay(p *plan.Plan, head journal.Run, records []journal.Record, each func(m *machine.Machine, e machine.Event)) (*machine.Machine, machine.Start, error) {
	start, err := h.startOf(p, head, records)
	if err != nil {
		return nil, start, err
	}
	m := machine.New(p, start)
	return m, start, h.replayRecords(m, head.ID, records[1:], each)
}

// replayRecords applies the events of a run's records to its machine; each is as in replay.
func (h *Host) replayRecords(m *machine.Machine, run string, records []journal.Record, each func(m *machine.Machine, e machine.Event)) error {
	for _, record := range records {
		event, err := h.decode(run, record)
		switch {
		case err != nil:
			return err
		case event == nil:
			continue
		case each != nil:
			each(m, event)
		}
		if err := m.Apply(event); err != nil {
			return err
		}
	}
	return nil
}

// startOf returns the machine.Start of a stored run, or a *machine.MismatchError if this host
// cannot resume it.
func (h *Host) startOf(p *plan.Plan, head journal.Run, records []journal.Record) (machine.Start, error) {
	switch {
	case head.Digest != p.Digest:
		return machine.Start{}, &machine.MismatchError{Reason: "the flow has changed since the run started"}
	case head.Version != machine.Version:
		return machine.Start{}, &machine.MismatchError{Reason: fmt.Sprintf("version %d of the machine started it, this is version %d", head.Version, machine.Version)}
	case len(records) == 0:
		return machine.Start{}, &machine.MismatchError{Reason: "its journal is empty"}
	}
	start, err := h.decodeStart(head.ID, records[0])
	if err != nil {
		return start, err
	}
	if len(records) > 1 && records[1].Kind == kindBegan {
		start.At = records[1].At // it was queued until then
	}
	if coerced, found := p.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	return start, nil
}

// rebuild loads a run and rebuilds its machine.
func (h *Host) rebuild(ctx context.Context, id string) (journal.Run, *machine.Machine, error) {
	head, records, err := h.load(ctx, id)
	if err != nil {
		return head, nil, err
	}
	p, err := h.plan(head)
	if err != nil {
		return head, nil, err
	}
	m, _, err := h.replay(p.Plan, head, records, nil)
	return head, m, err
}
