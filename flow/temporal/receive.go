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
	"go.temporal.io/api/serviceerror"
)

// Receive implements host.Host. A run that goes on is told of the calls that it wants news
// of; of one that has ended only those are corrected whose outcome is unknown. What a run
// is not told, Past knows.
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
	for {
		d, err := h.client.DescribeWorkflow(ctx, run, "")
		missing := (*serviceerror.NotFound)(nil)
		if errors.As(err, &missing) {
			return nil // it is of no run of ours, or was forgotten
		}
		if err != nil {
			return fmt.Errorf("look for the run %s: %w", run, err)
		}
		if d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			unknown, _ := d.TypedSearchAttributes.GetInt64(unknownKey)
			if unknown == 0 && d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED { // which had no say
				return nil
			}
			return h.correct(ctx, run, receipts)
		}
		news, _ := d.TypedSearchAttributes.GetKeyword(newsKey)
		var list []stored.Receipt
		for _, r := range receipts {
			if h.opts.Past == nil || isNews(news, r.Key) {
				list = append(list, stored.OfReceipt(r))
			}
		}
		if len(list) == 0 {
			return nil
		}
		err = h.client.SignalWorkflow(ctx, run, "", receiptsSignal, list)
		switch {
		case errors.As(err, &missing):
			continue // it has ended meanwhile
		case err != nil:
			return fmt.Errorf("tell the run %s of receipts: %w", run, err)
		}
		return nil
	}
}

// correct brings news of calls to a run that has ended with unknown outcomes.
func (h *Host) correct(ctx context.Context, run string, receipts []call.Receipt) error {
	for _, r := range receipts {
		err := h.errand(ctx, run, func(m *machine.Machine) (machine.Event, error) {
			if !slices.Contains(m.Unknown(), r.Key) {
				return nil, nil
			}
			return machine.Received{At: time.Now(), Receipt: r}, nil
		}, func(doubts []host.UnresolvedCall) (machine.Event, error) {
			return host.ReceiveUnresolved(doubts, r, time.Now()), nil
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
