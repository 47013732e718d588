package daemon

import (
	"cmp"
	"context"
	"errors"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"
)

// A settlingHost records settlements in the ledger, too: a send that certainly did not happen
// releases its `once` key, unless a receipt shows that it did; a send that happened, with the id
// of its message, is stored as answered, so that later webhooks about the message find its call.
type settlingHost struct {
	host.Host
	ledger ledger.Ledger
	action func(name string) *call.Signature
	sender func(ctx context.Context, connection string) string // the number of a connection, "" when that is not known
}

// Settle implements host.Host. Repeating a settlement is no error: the ledger may not have stored
// it, because the ledger or the daemon was down.
func (h settlingHost) Settle(ctx context.Context, run, step string, s host.Settlement) error {
	err := h.Host.Settle(ctx, run, step, s)
	refused, _ := errors.AsType[*host.StateError](err)
	if err != nil && refused == nil {
		return err
	}
	report, unread := h.Get(ctx, run)
	if unread != nil {
		return cmp.Or(err, unread)
	}
	known := false
	for i := range report.Calls {
		c := &report.Calls[i]
		if !host.MatchesStep(step, c.Step) && step != c.Key || c.Settled == nil || *c.Settled != s || refused != nil && len(c.Receipts) > 0 {
			continue
		}
		if err := h.record(ctx, c, s); err != nil {
			return err
		}
		known = true
	}
	switch {
	case known:
		return nil
	case refused == nil && !s.Happened: // of a run that cannot be rebuilt: then the step may be the key of the call
		return h.ledger.Release(ctx, step)
	}
	return err
}

func (h settlingHost) record(ctx context.Context, c *host.Call, s host.Settlement) error {
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
	receipts, err := h.ledger.RecordAnswer(ctx, a)
	if err != nil || len(receipts) == 0 {
		return err
	}
	return h.Receive(ctx, receipts...)
}
