package temporal

import (
	"context"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
)

// noteConnection sets an Auto hold if an outcome says that the connection cannot be used, and
// returns the hold's key, "" for none.
func (h *Host) noteConnection(c *call.Call, o *call.Outcome) string {
	if !o.Held && !o.Refused {
		return ""
	}
	if c.Connection == "" {
		if o.Held { // there is no connection to hold: it is a failure that may be retried
			o.Held, o.After = false, max(o.After, firstBackoff)
		}
		return ""
	}
	one := &hold{Hold: host.Hold{Scope: host.Connection, Name: c.Connection, Since: time.Now().UTC(), Auto: true}, localOnly: o.Held}
	if o.Error != nil {
		one.Reason = o.Error.Message
	}
	if h.holds.get(one.Key()) != nil {
		return one.Key()
	}
	h.onHold(one)
	h.background.Go(func() {
		if one.localOnly {
			h.awaitReady(h.ctx, one)
		} else {
			h.awaitRenewal(h.ctx, one)
		}
	})
	return one.Key()
}

// awaitReady lifts a hold of this process alone once the connection can be resolved.
func (h *Host) awaitReady(ctx context.Context, one *hold) {
	for pause := host.MinProbeDelay; host.Sleep(ctx, pause); pause = min(2*pause, host.MaxProbeDelay) {
		if h.opts.Ready != nil {
			if _, err := h.opts.Ready.Check(ctx, one.Name); err != nil {
				continue
			}
		} // else the next call tries
		h.lift(ctx, one)
		return
	}
}

// awaitRenewal stores a hold for all daemons, and lifts it once the credentials are others
// than those that were refused.
func (h *Host) awaitRenewal(ctx context.Context, one *hold) {
	if h.opts.Ready != nil {
		one.version, _ = h.opts.Ready.Check(ctx, one.Name)
	}
	if err := h.setHold(ctx, one); err != nil {
		h.opts.Log.Warn("a hold could not be made known to other daemons", "connection", one.Name, "error", err)
	}
	h.watchRenewal(ctx, one)
}

func (h *Host) watchRenewal(ctx context.Context, one *hold) {
	for h.opts.Ready != nil && host.Sleep(ctx, host.RenewalInterval) {
		if h.holds.get(one.Key()) == nil { // it was lifted
			return
		}
		version, err := h.opts.Ready.Check(ctx, one.Name)
		switch {
		case err != nil, version == "":
		case one.version == "":
			one.version = version
		case version != one.version:
			if err := h.Resume(ctx, one.Scope, one.Name); err != nil {
				h.lift(ctx, one)
			}
			return
		}
	}
}

func (h *Host) lift(ctx context.Context, one *hold) {
	if err := h.onLifted(ctx, one.Key()); err != nil && ctx.Err() == nil {
		h.opts.Log.Warn("not all runs that were held could be told that they may go on: they try again later", "error", err)
	}
}
