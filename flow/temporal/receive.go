package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"go.temporal.io/api/serviceerror"
)

// Receive implements host.Host. A run that goes on is told; of one that has ended only
// those calls are corrected whose outcome is unknown. What a run is not told, Past knows.
func (h *Host) Receive(ctx context.Context, receipts ...call.Receipt) error {
	var order []string
	runs := map[string][]call.Receipt{}
	for _, r := range receipts {
		run := runOf(r.Key)
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
	list := make([]stored.Receipt, len(receipts))
	for i, r := range receipts {
		list[i] = stored.OfReceipt(r)
	}
	err := h.client.SignalWorkflow(ctx, run, "", receiptsSignal, list)
	missing := (*serviceerror.NotFound)(nil)
	if !errors.As(err, &missing) {
		if err != nil {
			return fmt.Errorf("tell the run %s of receipts: %w", run, err)
		}
		return nil
	}
	d, err := h.client.DescribeWorkflow(ctx, run, "")
	if errors.As(err, &missing) {
		return nil // it is of no run of ours, or was forgotten
	}
	if err != nil {
		return fmt.Errorf("look for the run %s: %w", run, err)
	}
	if unknown, _ := d.TypedSearchAttributes.GetInt64(unknownKey); unknown == 0 {
		return nil
	}
	return h.correct(ctx, run, receipts)
}

// correct brings news of calls to a run that has ended with unknown outcomes.
func (h *Host) correct(ctx context.Context, run string, receipts []call.Receipt) error {
	for _, r := range receipts {
		err := h.errand(ctx, run, func(m *machine.Machine) (machine.Event, error) {
			if !slices.Contains(m.Unknown(), r.Key) {
				return nil, nil
			}
			return machine.Received{At: time.Now(), Receipt: r}, nil
		})
		var missing *host.NotFoundError
		var state *host.StateError
		if errors.As(err, &missing) || errors.As(err, &state) {
			return nil // it was forgotten, or cannot be read: there is nothing to correct
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// runOf returns the run that a call's key belongs to, "" when it is none of ours.
func runOf(key string) string {
	rest, ok := strings.CutPrefix(key, "f1.")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return ""
	}
	return rest[:dot]
}
