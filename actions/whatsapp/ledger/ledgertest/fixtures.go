package ledgertest

import (
	"slices"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"

	"github.com/stretchr/testify/require"
)

// The parties of this package's notifications and claims.
const (
	Sender = "106540352242922"
	Person = "33612345678"
)

// Status is a status of a message to Person.
func Status(message, status, data string) inbound.Notification {
	return inbound.Notification{
		Kind: "status", Field: "messages", PhoneNumberID: Sender, MessageID: message, Status: status,
		To: "+" + Person, WaID: Person, CallbackData: data, Timestamp: at(status),
	}
}

// at is the time of a status, in the order in which they happen.
func at(status string) time.Time {
	for i, s := range []string{"sent", "failed", "delivered", "read"} {
		if s == status {
			return Start().Add(time.Duration(i) * time.Second)
		}
	}
	return Start().Add(time.Minute)
}

// Message is one that Person wrote, at Start.
func Message(id, text string) inbound.Notification {
	return inbound.Notification{
		Kind: "message", Field: "messages", PhoneNumberID: Sender, MessageID: id, Type: "text", Text: text,
		From: "+" + Person, WaID: Person, Timestamp: Start(),
	}
}

// Preference is Person's preference about marketing: stop or resume.
func Preference(what string, at time.Time) inbound.Notification {
	return inbound.Notification{
		Kind: "user_preferences", Field: "user_preferences", PhoneNumberID: Sender, From: "+" + Person, WaID: Person,
		Status: what, Timestamp: at, Details: map[string]any{"category": "marketing_messages"},
	}
}

// Claim is one for a message to Person that counts for an hour. Its step is that of the
// call alone.
func Claim(call, key string) whatsapp.Claim {
	return whatsapp.Claim{Call: call, Step: "step of " + call, Sender: Sender, Recipient: Person, Key: key, Within: time.Hour}
}

// Accepted is the answer to a send to Person; without a message it was refused.
func Accepted(call, message string) whatsapp.Answer {
	a := whatsapp.Answer{Call: call, Sender: Sender, Recipient: Person, MessageID: message, State: "accepted"}
	if message == "" {
		a.State = "failed"
	}
	return a
}

// Fresh returns the updates that were not known before.
func Fresh(updates []ledger.Update) []ledger.Update {
	return slices.DeleteFunc(slices.Clone(updates), func(n ledger.Update) bool { return n.Known })
}

// apply applies notifications, and returns the updates that were not known before.
func apply(t *testing.T, l ledger.Ledger, told ...inbound.Notification) []ledger.Update {
	t.Helper()
	updates, err := l.Apply(t.Context(), told...)
	require.NoError(t, err)
	require.Len(t, updates, len(told))
	return Fresh(updates)
}

// recordAnswer records an answer, and waits until it can be read.
func recordAnswer(t *testing.T, l ledger.Ledger, a whatsapp.Answer) {
	t.Helper()
	_, err := l.RecordAnswer(t.Context(), a)
	require.NoError(t, err)
	_, _, err = l.Message(t.Context(), a.MessageID)
	require.NoError(t, err)
}

func claim(t *testing.T, l ledger.Ledger, call, key string) (repeats string) {
	t.Helper()
	repeats, err := l.Claim(t.Context(), Claim(call, key))
	require.NoError(t, err)
	return repeats
}

func claimError(t *testing.T, l ledger.Ledger, call, key string) error {
	t.Helper()
	_, err := l.Claim(t.Context(), Claim(call, key))
	return err
}

func message(t *testing.T, l ledger.Ledger, id string) ledger.Message {
	t.Helper()
	m, ok, err := l.Message(t.Context(), id)
	require.NoError(t, err)
	require.True(t, ok)
	return m
}

func receiptsOf(t *testing.T, l ledger.Ledger, key string) []call.Receipt {
	t.Helper()
	found, err := l.Receipts(t.Context(), time.Time{}, key)
	require.NoError(t, err)
	return found
}

func window(t *testing.T, l ledger.Ledger) ledger.Window {
	t.Helper()
	w, err := l.Window(t.Context(), Sender, Person)
	require.NoError(t, err)
	return w
}

func optedOut(t *testing.T, l ledger.Ledger) bool {
	t.Helper()
	out, err := l.OptedOut(t.Context(), Sender, Person)
	require.NoError(t, err)
	return out
}

func contactIDs(t *testing.T, l ledger.Ledger, id string) []string {
	t.Helper()
	found, err := l.Contact(t.Context(), id)
	require.NoError(t, err)
	return found
}
