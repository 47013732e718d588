package main

import (
	"context"
	"sync"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
)

// A listener notices that messages go out and no webhook comes, neither to this daemon nor
// to another one that shares its ledger. Its zero value is ready to use.
type listener struct {
	whatsapp.Silence

	mu   sync.Mutex
	sent map[string]string // a message of each sender whose statuses are waited for
}

func (l *listener) sentOne(sender, message string, at time.Time) {
	l.Sent(sender, at)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == nil {
		l.sent = map[string]string{}
	}
	if l.sent[sender] == "" {
		l.sent[sender] = message
	}
}

// silent returns the senders of whom nothing is heard. What another daemon was told is in
// the ledger.
func (l *listener) silent(ctx context.Context, known ledger.Ledger, now time.Time) (out []whatsapp.SilentSender) {
	for _, one := range l.Senders(now) {
		l.mu.Lock()
		id := l.sent[one.Sender]
		delete(l.sent, one.Sender) // the next message is the one to ask about then
		l.mu.Unlock()
		if m, ok, err := known.Message(ctx, id); err == nil && ok && len(m.Statuses) > 0 {
			l.Heard(one.Sender, now)
			continue
		}
		out = append(out, one)
	}
	return out
}

// warnOfSilence says whose messages no webhook tells of: lost answers cannot be settled
// then, and nobody hears of undelivered messages.
func (d *daemon) warnOfSilence(ctx context.Context) {
	for _, one := range d.silence.silent(ctx, d.ledger, time.Now()) {
		d.log.Warn("messages are sent, and no webhook comes", "sender_phone_id", one.Sender, "since", one.Since.UTC().Format(time.RFC3339),
			"hint", "see where they get lost: facteur webhook check CONNECTION, facteur vault check CONNECTION")
	}
}
