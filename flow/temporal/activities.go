package temporal

import (
	"context"
	"time"

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
		callActivity: h.call, beginActivity: h.call, pastActivity: h.loadReceipts, recallActivity: h.readPage, knownActivity: h.isKnown,
		subscribeActivity: h.signalSubscription, offerActivity: h.deliverToMailboxes, fireActivity: h.fire, aliveActivity: h.checkRuns, claimActivity: h.claim, meetActivity: h.meet,
	}
}

// loadReceipts is the activity that returns the receipts of a call that came so far. Runs of
// earlier versions do not say when they started.
func (h *Host) loadReceipts(ctx context.Context, key string, started time.Time) ([]stored.Receipt, error) {
	came, err := h.opts.Past.Read(ctx, started, key)
	if err != nil {
		return nil, err
	}
	out := make([]stored.Receipt, len(came))
	for i, receipt := range came {
		out[i] = stored.OfReceipt(receipt)
	}
	return out, nil
}
