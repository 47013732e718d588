package temporal

import (
	"context"
	"fmt"

	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
)

func (h *Host) registerActivities(w worker.Worker) {
	for name, f := range h.activities() {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

func (h *Host) activities() map[string]any {
	return map[string]any{
		callActivity: h.call, pastActivity: h.past, recallActivity: h.recall, knownActivity: h.known,
		subscribeActivity: h.tellMailbox, offerActivity: h.offer, fireActivity: h.fire, aliveActivity: h.alive, claimActivity: h.claim, meetActivity: h.meet,
	}
}

// past returns the receipts of a call that came so far.
func (h *Host) past(ctx context.Context, key string) ([]stored.Receipt, error) {
	if h.opts.Past == nil {
		return nil, nil
	}
	list, err := h.opts.Past(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the receipts of a call: %w", err)
	}
	out := make([]stored.Receipt, len(list))
	for i, receipt := range list {
		receipt.Key = key
		out[i] = stored.OfReceipt(receipt)
	}
	return out, nil
}
