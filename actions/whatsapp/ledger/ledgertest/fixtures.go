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

// must returns a function that returns a result, after requiring that there is no error.
func must[T any](result T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		require.NoError(t, err)
		return result
	}
}

// apply applies notifications, and returns the updates that were not known before.
func apply(t *testing.T, l ledger.Ledger, told ...inbound.Notification) []ledger.Update {
	t.Helper()
	updates := must(l.Apply(t.Context(), told...))(t)
	require.Len(t, updates, len(told))
	return Fresh(updates)
}

// recordAnswer records an answer, waits until it can be read, and returns the receipts that came
// before it.
func recordAnswer(t *testing.T, l ledger.Ledger, a whatsapp.Answer) []call.Receipt {
	t.Helper()
	receipts := must(l.RecordAnswer(t.Context(), a))(t)
	_, _, err := l.Message(t.Context(), a.MessageID)
	require.NoError(t, err)
	return receipts
}

func claim(t *testing.T, l ledger.Ledger, call, key string) (repeats string) {
	t.Helper()
	return claimFor(t, l, Person, call, key)
}

func claimFor(t *testing.T, l ledger.Ledger, recipient, call, key string) (repeats string) {
	t.Helper()
	c := Claim(call, key)
	c.Recipient = recipient
	return must(l.Claim(t.Context(), c))(t)
}

// claimAgain claims a key for a later call of an earlier one's step.
func claimAgain(t *testing.T, l ledger.Ledger, earlier, call, key string) (repeats string) {
	t.Helper()
	c := Claim(call, key)
	c.Step = "step of " + earlier
	return must(l.Claim(t.Context(), c))(t)
}

func claimError(t *testing.T, l ledger.Ledger, call, key string) error {
	t.Helper()
	_, err := l.Claim(t.Context(), Claim(call, key))
	return err
}

// holderOf returns the call that holds a key while the outcome of its send is unknown.
func holderOf(t *testing.T, l ledger.Ledger, key string) string {
	t.Helper()
	var unsettled *whatsapp.UnsettledError
	require.ErrorAs(t, claimError(t, l, "f1.another.1", key), &unsettled)
	return unsettled.Call
}

func message(t *testing.T, l ledger.Ledger, id string) ledger.Message {
	t.Helper()
	m, ok, err := l.Message(t.Context(), id)
	require.NoError(t, err)
	require.True(t, ok)
	return m
}

func requireNoMessage(t *testing.T, l ledger.Ledger, id string) {
	t.Helper()
	_, ok, err := l.Message(t.Context(), id)
	require.NoError(t, err)
	require.False(t, ok)
}

func receiptsOf(t *testing.T, l ledger.Ledger, key string) []call.Receipt {
	t.Helper()
	return must(l.Receipts(t.Context(), time.Time{}, key))(t)
}

func window(t *testing.T, l ledger.Ledger) ledger.Window {
	t.Helper()
	return must(l.Window(t.Context(), Sender, Person))(t)
}

func optedOut(t *testing.T, l ledger.Ledger) bool {
	t.Helper()
	return must(l.OptedOut(t.Context(), Sender, Person))(t)
}

func contactIDs(t *testing.T, l ledger.Ledger, id string) []string {
	t.Helper()
	return must(l.Contact(t.Context(), id))(t)
}
