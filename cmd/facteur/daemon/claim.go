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

// claim claims a `once` key. The call that holds the key may have been refused, or settled as not
// sent, without the ledger having stored that, because the ledger or the daemon was down; or that
// call is never made, because the daemon was killed before, and then the run cancelled. The run's
// journal knows.
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

// didNotHappen reports whether a run's journal shows that a call certainly did not happen: it was
// refused, or the run has ended and its complete journal does not mention it. It is false for a
// run that is not on this daemon's host.
func (d *Daemon) didNotHappen(ctx context.Context, key string) bool {
	select {
	case <-d.hostReady:
	case <-ctx.Done():
		return false
	}
	report, err := d.host.Get(ctx, call.RunOf(key))
	if err != nil {
		return false
	}
	quoted := []byte(strconv.Quote(key))
	if !report.Run.Ended.IsZero() && d.engine.complete() &&
		!slices.ContainsFunc(report.Journal, func(e host.Entry) bool { return bytes.Contains(e.Data, quoted) }) {
		return true // nor will it happen later: a call key is never reused
	}
	return slices.ContainsFunc(report.Calls, func(c host.Call) bool {
		refused := c.Outcome != nil && (c.Outcome.Status == call.Failed || c.Outcome.Status == call.Cancelled)
		denied := c.Settled != nil && !c.Settled.Happened
		return c.Key == key && len(c.Receipts) == 0 && (refused || denied)
	})
}
