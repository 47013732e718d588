package daemon

import (
	"context"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/host"
)

// The intervals of the daemon's housekeeping.
const (
	pruneEvery = time.Hour
	pruneBatch = 500
	pruneRest  = 50 * time.Millisecond // between batches: runs have priority

	inspectFirst = time.Minute // after the start, and after a webhook about a change of the account
	inspectEvery = 6 * time.Hour

	// minRetention is how long the ledger keeps messages at least, and the journal events: Meta
	// repeats webhooks for seven days.
	minRetention = 8 * 24 * time.Hour
)

// upkeep does the housekeeping until ctx ends: it warns of missing webhooks and of unknown outcomes,
// checks the accounts, and prunes the stores.
func (d *Daemon) upkeep(ctx context.Context) {
	minute, hour, shift := time.NewTicker(time.Minute), time.NewTicker(pruneEvery), time.NewTicker(inspectEvery)
	defer minute.Stop()
	defer hour.Stop()
	defer shift.Stop()
	first := time.After(inspectFirst)
	unknown := 0
	d.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-minute.C:
			d.warnOfSilence(ctx)
			unknown = d.warnOfUnknown(ctx, unknown)
		case <-hour.C:
			d.prune(ctx)
		case <-d.accountChanged:
			if first == nil {
				first = time.After(inspectFirst) // one check for many changes
			}
		case <-first:
			first = nil
			d.checkAccounts(ctx)
		case <-shift.C:
			d.checkAccounts(ctx)
		}
	}
}

// prune deletes old runs, events and messages, in batches.
func (d *Daemon) prune(ctx context.Context) {
	now := time.Now()
	kept := d.config.Retention
	for _, store := range []struct {
		name   string
		before time.Time
		prune  func(context.Context, time.Time, int) (int, error)
	}{
		{"journal", now.Add(-kept), d.engine.prune},
		{"ledger", now.Add(-max(kept, minRetention)), d.ledger.Prune},
	} {
		all := 0
		for {
			n, err := store.prune(ctx, store.before, pruneBatch)
			all += n
			if err != nil && ctx.Err() == nil {
				d.log.Error("deleting expired data failed", "what", store.name, "error", err)
			}
			if err != nil || n == 0 || !host.Sleep(ctx, pruneRest) {
				break
			}
		}
		if all > 0 {
			d.log.Info("expired data was deleted", "what", store.name, "count", all, "before", store.before.UTC().Format(time.RFC3339))
		}
	}
}

// silent returns the senders whose messages get no webhooks. Webhooks that went to another daemon
// are found in the ledger that they share.
func (d *Daemon) silent(ctx context.Context, now time.Time) (out []inbound.SilentSender) {
	for _, one := range d.silence.Silent(now) {
		if m, ok, err := d.ledger.Message(ctx, one.Message); err == nil && ok && len(m.Statuses) > 0 {
			d.silence.WebhookReceived(one.Sender, now)
			continue
		}
		out = append(out, one)
	}
	return out
}

// warnOfSilence warns of senders whose messages get no webhooks: then lost answers cannot be
// settled, and undelivered messages are not noticed.
func (d *Daemon) warnOfSilence(ctx context.Context) {
	for _, one := range d.silent(ctx, time.Now()) {
		d.log.Warn("messages are sent, but no webhooks arrive", "sender_phone_id", one.Sender, "since", one.Since.UTC().Format(time.RFC3339),
			"hint", "find out where they get lost: facteur webhook check CONNECTION, facteur vault check CONNECTION")
	}
}

// warnOfUnknown warns if more runs than the last time have calls whose outcome is unknown, and
// returns their number. UnknownLog does not suffice: a kill leaves such calls, too.
func (d *Daemon) warnOfUnknown(ctx context.Context, last int) int {
	const most = 1000
	runs, _, err := d.host.List(ctx, host.Filter{Unknown: true, Limit: most})
	if err != nil {
		return last // the host has logged why
	}
	if len(runs) > last {
		d.log.Warn("some runs have calls whose outcome is unknown", "runs", len(runs), "and_more", len(runs) == most,
			"hint", "list them with facteur runs list --status unknown; unless webhooks settle them, a person has to: facteur runs settle")
	}
	return len(runs)
}
