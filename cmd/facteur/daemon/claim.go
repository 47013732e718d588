package daemon

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/host"
)

// claim claims a `once` key. The ledger may not have heard that the call which holds it was
// refused, or settled as not sent, because it, or the daemon, was away by then; or nobody makes
// that call any more, because the daemon was killed before it began, and its run cancelled then.
// The run knows.
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

// didNotHappen tells whether the record of a run shows that a call of it surely did not happen:
// it was refused, or the run has ended, and says nothing of it. Of runs of daemons that carry
// others it knows nothing.
func (d *Daemon) didNotHappen(ctx context.Context, key string) bool {
	select {
	case <-d.carries:
	case <-ctx.Done():
		return false
	}
	report, err := d.host.Get(ctx, call.RunOf(key))
	if err != nil {
		return false
	}
	quoted := []byte(strconv.Quote(key))
	if !report.Run.Ended.IsZero() && d.engine.whole() &&
		!slices.ContainsFunc(report.Journal, func(e host.Entry) bool { return bytes.Contains(e.Data, quoted) }) {
		return true // nor does it happen later: keys are used once
	}
	return slices.ContainsFunc(report.Calls, func(c host.Call) bool {
		refused := c.Outcome != nil && (c.Outcome.Status == call.Failed || c.Outcome.Status == call.Cancelled)
		denied := c.Settled != nil && !c.Settled.Happened
		return c.Key == key && len(c.Receipts) == 0 && (refused || denied)
	})
}
