package daemon

import (
	"context"
	"errors"
	"slices"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/host"
)

// claim claims a `once` key. The ledger may not have heard that the call which holds it was
// refused, or settled as not sent, because it, or the daemon, was away by then: the call's run
// knows.
func (d *Daemon) claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	for released := ""; ; {
		repeats, err = d.ledger.Claim(ctx, c)
		unsettled, ok := errors.AsType[*whatsapp.UnsettledError](err)
		if !ok || unsettled.Call == released || !d.didNotHappen(ctx, unsettled.Call) {
			return repeats, err
		}
		released = unsettled.Call // another attempt of its step may have happened
		if err := d.ledger.Release(ctx, released); err != nil {
			return "", err
		}
	}
}

// didNotHappen tells whether a run has recorded that a call of it surely did not happen. Of
// runs of daemons that carry others it knows nothing.
func (d *Daemon) didNotHappen(ctx context.Context, key string) bool {
	select {
	case <-d.carries:
	case <-ctx.Done():
		return false
	}
	report, err := d.host.Get(ctx, call.RunOf(key))
	return err == nil && slices.ContainsFunc(report.Calls, func(c host.Call) bool {
		refused := c.Outcome != nil && (c.Outcome.Status == call.Failed || c.Outcome.Status == call.Cancelled)
		denied := c.Settled != nil && !c.Settled.Happened
		return c.Key == key && len(c.Receipts) == 0 && (refused || denied)
	})
}
