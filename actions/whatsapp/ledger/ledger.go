// Package ledger keeps what is known about WhatsApp contacts and messages: what became of
// each message, who may be written to freely, who wants no marketing, which numbers and
// user IDs are one person, and what must not be sent twice.
//
// Webhooks are given to Apply before they are answered; the functions of whatsapp.Options
// are answered from here: see Wire. OpenSQLite keeps a ledger in a file that several
// processes may share, OpenPostgres in a database for daemons on several machines; Memory
// keeps it in this process, for tests. ledgertest.Exercise is what all ledgers must do.
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
// A context bounds the wait for a place in the ledger: an error from it means that
// nothing was stored.
type Ledger interface {
	// Apply stores what a webhook tells, durably, all or nothing, and returns it in the
	// same order, with what it means to whom. What came twice, or out of order, leads to
	// the same state. What was known already is returned, too: Meta repeats a webhook
	// whose answer it did not see, and whoever died before that may not have passed it on.
	Apply(ctx context.Context, told ...inbound.Notification) ([]News, error)

	// Claim is whatsapp.Options.Once. A claim counts for one contact, whichever number
	// sends, and from the call that claimed it last. It is durable when it is given. It goes
	// to one of many who ask at the same time.
	//
	// Under a key that counts already, the same call goes on, unless its message is known; a
	// call after one that failed goes on, too, and so does the next attempt of a step whose
	// earlier one may have happened; otherwise the result is the id of the message, or an
	// *whatsapp.UnsettledError while none is known. What may have happened counts for others
	// than its step whatever becomes of later attempts.
	Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error)
	// Release gives up what a call claimed, because somebody says that it did not happen.
	// Who is right shows later: see Claim, and News.Rival.
	Release(ctx context.Context, call string) error
	// Told stores what became of a send; it is durable soon. It gives up what a refused
	// call claimed, as Release does. It returns the receipts that came before it was known
	// that they are of this call.
	Told(ctx context.Context, a whatsapp.Answer) ([]call.Receipt, error)

	// Message returns what is known of a message that was sent, or ok = false.
	Message(ctx context.Context, id string) (m Message, ok bool, err error)
	// Receipts returns the receipts of calls that have come, in the order in which they
	// came, without those of a message of which the first came before since. A message of
	// which only the answer is known has one that is call.Accepted.
	Receipts(ctx context.Context, since time.Time, calls ...string) ([]call.Receipt, error)
	// Inbound returns the messages of a contact to a sender, "" for any, that came since
	// a time, in the order in which they came. Older ones that were delivered late are
	// not among them.
	Inbound(ctx context.Context, sender, contact string, since time.Time) ([]inbound.Notification, error)
	// Contact returns all ids of a contact, sorted: the one that is asked for, where
	// nothing is known.
	Contact(ctx context.Context, id string) ([]string, error)

	// Window tells whether a contact may be written to freely. What was Told lately may
	// be missing.
	Window(ctx context.Context, sender, contact string) (Window, error)
	// OptedOut tells whether a contact wants no marketing from a sender, and webhooks of
	// the sender have come since, which would have said otherwise. What was Told lately
	// may be missing.
	OptedOut(ctx context.Context, sender, contact string) (bool, error)

	// Prune forgets events, messages and claims from before a time, so many of each at
	// most, and returns how many they were; 0: there are no more. What is known of
	// contacts stays. Meta repeats webhooks for 7 days: what is younger has to stay, too,
	// for them to be known.
	Prune(ctx context.Context, before time.Time, most int) (int, error)
	// Close waits for what was stored.
	Close() error
}

// News is something that a webhook told.
type News struct {
	inbound.Notification
	Known   bool          // it was told before
	Receipt *call.Receipt // of a status whose call is known
	Contact []string      // all ids of the person, sorted; nil when nobody is named
	// Rival is the call that has taken, by now, the `once` key that the call of this
	// message gave up: both may have gone out. It comes with the first status that shows
	// the message to be sent; "" for none.
	Rival string
}

// A Message is one that was sent.
type Message struct {
	ID        string // wamid
	Call      string // the key of the call that sent it, "" when that is not known
	Sender    string
	Recipient string
	// State is the furthest that came: accepted, held, sent, failed, delivered, read, in
	// this order. It is never taken back, and a failure counts unless the message was
	// delivered.
	State whatsapp.State
	At    time.Time
	// Statuses are all that Meta told, in the order in which they came.
	Statuses []inbound.Notification
}

// A Window is what is known about the 24 hours in which anything may be written.
type Window struct {
	State whatsapp.Window
	Wrote time.Time // when the contact wrote or called last; zero: not known
	Shut  time.Time // when Meta last said that it is shut; zero: never
}

// day is how long a window is open.
const day = 24 * time.Hour

// windowOf tells the state of a window. That it was shut once only counts when webhooks of
// the sender have come since: else the contact may have written without our knowing.
func windowOf(wrote, shut, heard, now time.Time) Window {
	w := Window{Wrote: wrote, Shut: shut}
	end := wrote.Add(day)
	if shut.After(wrote) {
		end = shut
	}
	switch {
	case wrote.IsZero() && shut.IsZero():
	case !shut.After(wrote) && now.Before(end):
		w.State = whatsapp.WindowOpen
	case heard.After(end):
		w.State = whatsapp.WindowShut
	}
	return w
}

// slack is how far Meta's clock, which counts seconds, may be behind ours.
const slack = 5 * time.Second

// Options are what a ledger works with.
type Options struct {
	Now func() time.Time // nil: time.Now
	// Seal and Open encrypt at rest what people wrote. nil: it is stored as it is.
	Seal, Open func(plain, context []byte) ([]byte, error)
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Wire answers what the actions want to know from a ledger. What the ledger cannot tell,
// because its disk has failed, is not known; a claim then fails. receive, when not nil, is
// given receipts that came before it was known whose they are.
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
	o.Told = func(ctx context.Context, a whatsapp.Answer) {
		if l, ok := l.(*SQLite); ok { // others of its writes, and the disk, must not hold up the run
			_ = l.Tell(ctx, a, receive)
			return
		}
		receipts, err := l.Told(ctx, a)
		if err != nil || receive == nil {
			return // the send is what it is; the ledger says so itself, to whoever asks next
		}
		for _, r := range receipts {
			receive(r)
		}
	}
	return o
}
