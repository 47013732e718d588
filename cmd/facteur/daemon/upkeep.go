package daemon

import (
	"context"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/host"
)

// What the daemon does by itself, and when.
const (
	pruneEvery = time.Hour
	pruneBatch = 500
	pruneRest  = 50 * time.Millisecond // between batches: runs go before

	inspectFirst = time.Minute // after the start, and after Meta told of a change
	inspectEvery = 6 * time.Hour

	// leastLedger is for how long the ledger remembers at least, and the journal events: Meta
	// repeats webhooks for seven days.
	leastLedger = 8 * 24 * time.Hour
)

// upkeep looks after what nobody asks for, until ctx ends: it warns of silence and of
// doubts, and forgets what is old.
func (d *Daemon) upkeep(ctx context.Context) {
	minute, hour, shift := time.NewTicker(time.Minute), time.NewTicker(pruneEvery), time.NewTicker(inspectEvery)
	defer minute.Stop()
	defer hour.Stop()
	defer shift.Stop()
	first := time.After(inspectFirst)
	doubts := 0
	d.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-minute.C:
			d.warnOfSilence(ctx)
			doubts = d.warnOfDoubts(ctx, doubts)
		case <-hour.C:
			d.prune(ctx)
		case <-d.changed:
			if first == nil {
				first = time.After(inspectFirst) // a flood of changes is looked at once
			}
		case <-first:
			first = nil
			d.inspect(ctx)
		case <-shift.C:
			d.inspect(ctx)
		}
	}
}

// prune forgets runs, events and messages that are old, a few at a time.
func (d *Daemon) prune(ctx context.Context) {
	now := time.Now()
	kept := d.config.Retention
	for _, store := range []struct {
		name   string
		before time.Time
		prune  func(context.Context, time.Time, int) (int, error)
	}{
		{"journal", now.Add(-kept), d.engine.prune},
		{"ledger", now.Add(-max(kept, leastLedger)), d.ledger.Prune},
	} {
		all := 0
		for {
			n, err := store.prune(ctx, store.before, pruneBatch)
			all += n
			if err != nil && ctx.Err() == nil {
				d.log.Error("forgetting what is old failed", "what", store.name, "error", err)
			}
			if err != nil || n == 0 || !host.Sleep(ctx, pruneRest) {
				break
			}
		}
		if all > 0 {
			d.log.Info("forgot what is old", "what", store.name, "count", all, "before", store.before.UTC().Format(time.RFC3339))
		}
	}
}

// silent returns the senders of whom nothing is heard, neither by this daemon nor by another
// one that shares its ledger: what that one was told is there.
func (d *Daemon) silent(ctx context.Context, now time.Time) (out []inbound.SilentSender) {
	for _, one := range d.silence.Senders(now) {
		if m, ok, err := d.ledger.Message(ctx, one.Message); err == nil && ok && len(m.Statuses) > 0 {
			d.silence.Heard(one.Sender, now)
			continue
		}
		out = append(out, one)
	}
	return out
}

// warnOfSilence says whose messages no webhook tells of: lost answers cannot be settled
// then, and nobody hears of undelivered messages.
func (d *Daemon) warnOfSilence(ctx context.Context) {
	for _, one := range d.silent(ctx, time.Now()) {
		d.log.Warn("messages are sent, and no webhook comes", "sender_phone_id", one.Sender, "since", one.Since.UTC().Format(time.RFC3339),
			"hint", "see where they get lost: facteur webhook check CONNECTION, facteur vault check CONNECTION")
	}
}

// warnOfDoubts says how many runs have calls whose outcome nobody knows, where they are more
// than the last time, and returns how many: a kill leaves such calls, too.
func (d *Daemon) warnOfDoubts(ctx context.Context, last int) int {
	const most = 1000
	runs, _, err := d.host.List(ctx, host.Filter{Unknown: true, Limit: most})
	if err != nil {
		return last // the host has said why
	}
	if len(runs) > last {
		d.log.Warn("nobody knows whether calls of some runs happened", "runs", len(runs), "and_more", len(runs) == most,
			"hint", "facteur runs list --status unknown; unless webhooks tell, somebody has to settle them: facteur runs settle")
	}
	return len(runs)
}
