// Package ledger stores what is known about WhatsApp contacts and messages: the state of each
// message, the 24-hour windows, who has opted out of marketing, which numbers and user IDs
// belong to one person, and the claims of `once` keys.
//
// Webhooks are given to Apply before they are answered; Wire implements the functions of
// whatsapp.Options with a ledger. OpenSQLite opens a ledger in a file that several processes
// may share, OpenPostgres one in a database for daemons on several machines; Memory is one in
// this process, for tests. ledgertest.Exercise is the conformance suite of all ledgers.
package ledger

import (
	"context"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"
)

// A Ledger is safe for concurrent use. Contacts are named by any of their ids: a phone
// number, with or without +, or a user ID; senders by their phone number ID.
//
// A context only bounds the wait until a write begins: its error means that nothing was stored.
type Ledger interface {
	// Apply durably stores the notifications of a webhook, all or nothing, and returns an
	// update for each, in the same order. Notifications that are repeated, or out of order,
	// lead to the same state. Known ones are returned, too: Meta repeats a webhook whose
	// answer it did not get, and a process that died before may not have passed them on.
	Apply(ctx context.Context, told ...inbound.Notification) ([]Update, error)

	// Claim is whatsapp.Options.Once. A claim is for one contact, whichever number sends, and
	// counts from the call that claimed the key last. It is durable when Claim returns. Of
	// concurrent calls one gets the key.
	//
	// If the key is claimed already, these calls may go on nevertheless: the same call, unless
	// its message is known; a call after one that failed; the next attempt of a step whose
	// earlier attempt may have happened. Otherwise the result is the id of the message, or an
	// *whatsapp.UnsettledError while none is known. For other steps, a call that may have
	// happened counts whatever the outcome of later attempts.
	Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error)
	// Release releases the keys that a call claimed, because a person says that it did not
	// happen. A later status may prove that wrong: see Claim, and Update.Duplicate.
	Release(ctx context.Context, call string) error
	// RecordAnswer stores the answer to a send, durable soon after it returns. If the send was
	// refused, it releases the call's keys as Release does. It returns the receipts that came
	// before the answer, when the call of the message was not known yet.
	RecordAnswer(ctx context.Context, a whatsapp.Answer) ([]call.Receipt, error)

	// Message returns what is known of a message that was sent, or ok = false.
	Message(ctx context.Context, id string) (m Message, ok bool, err error)
	// Receipts returns the receipts of calls, in the order in which they came, without those
	// of messages whose first receipt came before since. A message of which only the answer
	// is known has one receipt, call.Accepted.
	Receipts(ctx context.Context, since time.Time, calls ...string) ([]call.Receipt, error)
	// Inbound returns the messages of a contact to a sender, "" for any, that came since a
	// time, in the order in which they came, without older messages that were delivered late.
	Inbound(ctx context.Context, sender, contact string, since time.Time) ([]inbound.Notification, error)
	// Contact returns all ids of a contact, sorted; for an unknown one, just id.
	Contact(ctx context.Context, id string) ([]string, error)

	// Window returns the 24-hour window of a contact. The latest answers may be missing in it.
	Window(ctx context.Context, sender, contact string) (Window, error)
	// OptedOut reports whether a contact has opted out of a sender's marketing. It is false
	// until a later webhook of the sender has come: while webhooks are missing, an opt-in
	// could be, too. The latest answers may be missing.
	OptedOut(ctx context.Context, sender, contact string) (bool, error)

	// Prune deletes events, messages and claims from before a time, at most so many of each,
	// and returns how many it deleted; 0: there are no more. Contacts stay. Meta repeats
	// webhooks for 7 days: before must not be later, for repeated ones to be known.
	Prune(ctx context.Context, before time.Time, most int) (int, error)
	// Close waits until what was stored is durable.
	Close() error
}

// An Update is a notification as the ledger has stored it, with the call and contact that it
// concerns.
type Update struct {
	inbound.Notification
	Known   bool          // it was stored before
	Receipt *call.Receipt // of a status whose call is known
	Contact []string      // all ids of the contact, sorted; nil if there is none
	// Duplicate is the call that has since claimed the `once` key that the call of this
	// message released: both messages may have been sent. It is set with the first status
	// that shows that this one was; "" for none.
	Duplicate string
}

// A Message is one that was sent.
type Message struct {
	ID        string // wamid
	Call      string // the key of the call that sent it, "" if it is not known
	Sender    string
	Recipient string
	// State is the furthest of all statuses, in this order: accepted, held, sent, failed,
	// delivered, read. So it never goes back, and a failure counts unless the message was
	// delivered.
	State whatsapp.State
	At    time.Time
	// Statuses are all that came, in this order.
	Statuses []inbound.Notification
}

// A Window is what is known about the 24-hour window, in which any message may be sent.
type Window struct {
	State whatsapp.Window
	Wrote time.Time // when the contact wrote or called last; zero: not known
	Shut  time.Time // when Meta last said that it is shut; zero: never
}

// windowLength is how long a window is open.
const windowLength = 24 * time.Hour

// windowOf returns the state of a window. It is only known to be shut if a webhook of the sender
// has come since: while webhooks are missing, the contact may have written.
func windowOf(wrote, shut, lastWebhook, now time.Time) Window {
	w := Window{Wrote: wrote, Shut: shut}
	end := wrote.Add(windowLength)
	if shut.After(wrote) {
		end = shut
	}
	switch {
	case wrote.IsZero() && shut.IsZero():
	case !shut.After(wrote) && now.Before(end):
		w.State = whatsapp.WindowOpen
	case lastWebhook.After(end):
		w.State = whatsapp.WindowShut
	}
	return w
}

// clockSkew is how far Meta's timestamps, which are whole seconds, may be behind our clock.
const clockSkew = 5 * time.Second

// Options of a ledger.
type Options struct {
	Now func() time.Time // nil: time.Now
	// Seal and Open encrypt notifications at rest. nil: they are stored in clear.
	Seal, Open func(plain, context []byte) ([]byte, error)
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Wire adds the functions of whatsapp.Options that a ledger implements. If the ledger's disk has
// failed, windows and opt-outs are unknown, and claims fail. receive, if not nil, gets the receipts
// that came before the answer to their call.
func Wire(l Ledger, o whatsapp.Options, receive func(call.Receipt)) whatsapp.Options {
	o.Window = func(ctx context.Context, sender, recipient string) whatsapp.Window {
		w, err := l.Window(ctx, sender, recipient)
		if err != nil {
			return whatsapp.WindowUnknown
		}
		return w.State
	}
	o.OptedOut = func(ctx context.Context, sender, recipient string) bool {
		out, err := l.OptedOut(ctx, sender, recipient)
		return err == nil && out
	}
	o.Once = l.Claim
	o.OnAnswer = func(ctx context.Context, a whatsapp.Answer) {
		if l, ok := l.(*SQLite); ok { // the run must not wait for other writes and the disk
			_ = l.RecordAnswerAsync(ctx, a, receive)
			return
		}
		receipts, err := l.RecordAnswer(ctx, a)
		if err != nil || receive == nil {
			return // the send has happened; the next use of the ledger shows the error
		}
		for _, r := range receipts {
			receive(r)
		}
	}
	return o
}
