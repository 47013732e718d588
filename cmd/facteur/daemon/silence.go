package daemon

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
)

// silent returns the senders of whom nothing is heard, neither by this daemon nor by another
// one that shares its ledger: what that one was told is there.
func (d *Daemon) silent(ctx context.Context, now time.Time) (out []whatsapp.SilentSender) {
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
