package main

import (
	"context"

	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"
)

// A settlingHost tells the ledger, too, what a person says of a send: what surely did not
// happen no longer claims its `once` key.
type settlingHost struct {
	host.Host
	ledger ledger.Ledger
}

// Settle implements host.Host.
func (h settlingHost) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	report, err := h.Get(ctx, run)
	if err != nil {
		return err
	}
	if err := h.Host.Settle(ctx, run, step, s); err != nil || s.Happened {
		return err
	}
	// A step is settled from its latest call on.
	for i := len(report.Calls) - 1; i >= 0; i-- {
		c := report.Calls[i]
		if host.Names(step, c.Step) && c.Outcome != nil && c.Outcome.Status == call.Unknown {
			return h.ledger.Release(ctx, c.Key)
		}
	}
	return nil
}
