package daemon

import (
	"context"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"
)

// A settlingHost tells the ledger, too, what a person says of a send: what surely did not
// happen no longer claims its `once` key, and a message whose id is known counts as one
// that was sent, so that what Meta tells of it is known to be of that call.
type settlingHost struct {
	host.Host
	ledger ledger.Ledger
	action func(name string) *call.Signature
	sender func(ctx context.Context, connection string) string // the number of a connection, "" when that is not known
}

// Settle implements host.Host.
func (h settlingHost) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	report, err := h.Get(ctx, run)
	if err != nil {
		return err
	}
	if err := h.Host.Settle(ctx, run, step, s); err != nil {
		return err
	}
	// A step is settled from its latest call on.
	for i := len(report.Calls) - 1; i >= 0; i-- {
		c := &report.Calls[i]
		if (host.Names(step, c.Step) || step == c.Key) && c.Outcome != nil && c.Outcome.Status == call.Unknown {
			return h.tell(ctx, c, s)
		}
	}
	return nil
}

func (h settlingHost) tell(ctx context.Context, c *host.Call, s host.Settlement) error {
	if !s.Happened {
		return h.ledger.Release(ctx, c.Key)
	}
	if s.ID == "" || c.Action != whatsapp.SendAction {
		return nil
	}
	a := whatsapp.Answer{Call: c.Key, Recipient: h.action(c.Action).Recipient(c.Input), MessageID: s.ID, State: "accepted"}
	if a.Sender, _ = c.Input["sender_phone_id"].(string); a.Sender == "" {
		a.Sender = h.sender(ctx, c.Connection)
	}
	receipts, err := h.ledger.Told(ctx, a)
	if err != nil || len(receipts) == 0 {
		return err
	}
	return h.Receive(ctx, receipts...)
}
