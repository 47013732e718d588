package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	enumspb "go.temporal.io/api/enums/v1"
)

// Receive implements host.Host. An open run gets the receipts of calls that it awaits, one
// that has ended those of calls whose outcome is unknown. Others can be had from Past.
func (h *Host) Receive(ctx context.Context, receipts ...call.Receipt) error {
	var order []string
	runs := map[string][]call.Receipt{}
	for _, r := range receipts {
		run := call.RunOf(r.Key)
		if run == "" {
			continue
		}
		if runs[run] == nil {
			order = append(order, run)
		}
		runs[run] = append(runs[run], r)
	}
	for _, run := range order {
		if err := h.receive(ctx, run, runs[run]); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) receive(ctx context.Context, run string, receipts []call.Receipt) error {
	d, err := h.client.DescribeWorkflow(ctx, run, "")
	if isNotFound(err) {
		return nil // it is of another host's run, or of one that the server has forgotten
	}
	if err != nil {
		return fmt.Errorf("look for the run %s: %w", run, err)
	}
	if d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		unknown, _ := d.TypedSearchAttributes.GetInt64(unknownKey)
		if unknown == 0 && d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED { // it could not write its attributes
			return nil
		}
		return h.receiveEnded(ctx, run, receipts)
	}
	calls, _ := d.TypedSearchAttributes.GetKeyword(callsKey)
	var list []stored.Receipt
	for _, r := range receipts {
		if h.opts.Past == nil || hasCall(calls, r.Key) {
			list = append(list, stored.OfReceipt(r))
		}
	}
	if len(list) == 0 {
		return nil
	}
	err = h.client.SignalWorkflow(ctx, run, "", receiptsSignal, list)
	switch {
	case isNotFound(err): // it has ended meanwhile
		return h.receive(ctx, run, receipts)
	case err != nil:
		return fmt.Errorf("tell the run %s of receipts: %w", run, err)
	}
	return nil
}

// receiveEnded applies receipts to a run that has ended with unknown outcomes.
func (h *Host) receiveEnded(ctx context.Context, run string, receipts []call.Receipt) error {
	for _, r := range receipts {
		err := h.applyToRun(ctx, run, func(m *machine.Machine) (machine.Event, error) {
			if !slices.Contains(m.Unknown(), r.Key) {
				return nil, nil
			}
			return machine.Received{At: time.Now(), Receipt: r}, nil
		}, func(unresolved []host.UnresolvedCall) (machine.Event, error) {
			return host.ReceiveUnresolved(unresolved, r, time.Now()), nil
		})
		if errors.As(err, new(*host.NotFoundError)) || errors.As(err, new(*host.StateError)) {
			return nil // it was forgotten, or cannot be read: nothing can be corrected
		}
		if err != nil {
			return err
		}
	}
	return nil
}
