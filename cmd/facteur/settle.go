package main

import (
	"context"
	"strings"

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
	// A step is settled from its latest call on; what it released before does no harm twice.
	for i := len(report.Calls) - 1; i >= 0; i-- {
		c := report.Calls[i]
		mine := c.Step == step || strings.HasSuffix(c.Step, "."+step)
		if mine && c.Outcome != nil && c.Outcome.Status == call.Unknown {
			return h.ledger.Release(ctx, c.Key)
		}
	}
	return nil
}
