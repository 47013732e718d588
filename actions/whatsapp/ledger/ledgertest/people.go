package ledgertest

import (
	"fmt"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/require"
)

func windows(t *testing.T, l ledger.Ledger, clock *Clock) {
	require.Equal(t, ledger.Window{}, window(t, l), "nobody knows")
	apply(t, l, Message("wamid.in.1", "oui"))
	require.Equal(t, ledger.Window{State: whatsapp.WindowOpen, Wrote: Start()}, window(t, l))
	require.Equal(t, whatsapp.WindowUnknown, must(l.Window(t.Context(), "another", Person))(t).State, "each sender has its own")
	require.Equal(t, whatsapp.WindowOpen, must(l.Window(t.Context(), Sender, "+"+Person))(t).State)

	clock.Advance(24*time.Hour - time.Nanosecond)
	require.Equal(t, whatsapp.WindowOpen, window(t, l).State)
	clock.Advance(time.Nanosecond)
	require.Equal(t, whatsapp.WindowUnknown, window(t, l).State, "webhooks may be missing")
	clock.Advance(time.Minute)
	apply(t, l, Status("wamid.other", "sent", ""))
	require.Equal(t, ledger.Window{State: whatsapp.WindowShut, Wrote: Start()}, window(t, l), "webhooks come, and none of a message")

	late := Message("wamid.in.0", "bonjour") // an older one, delivered late
	late.Timestamp = Start().Add(-time.Hour)
	apply(t, l, late)
	require.Equal(t, Start(), window(t, l).Wrote)
	group := Message("wamid.in.2", "à tous")
	group.GroupID, group.Timestamp = "group", clock.Now()
	system := Message("wamid.in.3", "")
	system.Type, system.Timestamp = "system", clock.Now()
	apply(t, l, group, system)
	require.Equal(t, whatsapp.WindowShut, window(t, l).State)
	phoned := inbound.Notification{Kind: "call", MessageID: "wacid.1", Status: "connect", PhoneNumberID: Sender, WaID: Person,
		Timestamp: clock.Now(), Details: map[string]any{"direction": "USER_INITIATED"}}
	apply(t, l, phoned)
	require.Equal(t, ledger.Window{State: whatsapp.WindowOpen, Wrote: clock.Now()}, window(t, l), "a call opens it, too")

	clock.Advance(25 * time.Hour)
	apply(t, l, Status("wamid.other", "delivered", ""))
	require.Equal(t, whatsapp.WindowShut, window(t, l).State)
	answered := Message("wamid.in.4", "à un autre") // another app answers it
	answered.Kind, answered.Field, answered.Timestamp = "standby", "standby", clock.Now()
	apply(t, l, answered)
	require.Equal(t, ledger.Window{State: whatsapp.WindowOpen, Wrote: clock.Now()}, window(t, l), "whoever answers")
	require.Empty(t, must(l.Inbound(t.Context(), Sender, Person, clock.Now().Add(-time.Hour)))(t), "no flow answers it")
}

func shutWindows(t *testing.T, l ledger.Ledger, clock *Clock) {
	shut := Accepted("f1.a.1", "")
	shut.Shut = true
	recordAnswer(t, l, shut)
	require.Equal(t, ledger.Window{Shut: Start()}, window(t, l), "they may have written since")
	clock.Advance(time.Minute)
	apply(t, l, Status("wamid.other", "sent", ""))
	require.Equal(t, ledger.Window{State: whatsapp.WindowShut, Shut: Start()}, window(t, l), "webhooks come, and none of a message")
	wrote := Message("wamid.in", "oui")
	wrote.Timestamp = clock.Now()
	apply(t, l, wrote)
	require.Equal(t, whatsapp.WindowOpen, window(t, l).State)
	clock.Advance(time.Minute)
	n := Status("wamid.2", "failed", "")
	n.Timestamp, n.Errors = clock.Now(), []inbound.Fault{{Error: graph.Error{Code: 131047}}}
	apply(t, l, n)
	at := clock.Now()
	require.Equal(t, ledger.Window{Wrote: wrote.Timestamp, Shut: at}, window(t, l))
	clock.Advance(time.Minute)
	apply(t, l, n)
	require.Equal(t, ledger.Window{State: whatsapp.WindowShut, Wrote: wrote.Timestamp, Shut: at}, window(t, l))
}

func marketing(t *testing.T, l ledger.Ledger, clock *Clock) {
	require.False(t, optedOut(t, l))
	clock.Advance(24 * time.Hour)
	steps := []struct {
		name string
		n    inbound.Notification
		out  bool
	}{
		{"out", Preference("stop", Start()), true},
		{"in again", Preference("resume", Start().Add(time.Hour)), false},
		{"a late one", Preference("stop", Start().Add(time.Minute)), false},
		{"a message that Meta did not deliver", optOutStatus(Start().Add(2 * time.Hour)), true},
		{"a late one of those", optOutStatus(Start().Add(time.Minute)), true},
		{"in at last", Preference("resume", Start().Add(3*time.Hour)), false},
		{"both at once: out", Preference("stop", Start().Add(3*time.Hour)), true},
		{"about something else", inbound.Notification{Kind: "user_preferences", PhoneNumberID: Sender, WaID: Person, Status: "resume",
			Timestamp: Start().Add(4 * time.Hour), Details: map[string]any{"category": "another"}}, true},
	}
	for _, s := range steps {
		apply(t, l, s.n)
		require.Equal(t, s.out, optedOut(t, l), s.name)
	}
	require.False(t, must(l.OptedOut(t.Context(), "another", Person))(t), "each sender has its own")

	a := Accepted("f1.a.1", "")
	a.OptedOut, a.Recipient = true, "33600000009"
	clock.Advance(time.Minute)
	recordAnswer(t, l, a)
	require.False(t, must(l.OptedOut(t.Context(), Sender, "+33600000009"))(t), "they may have come back since")
	clock.Advance(time.Minute)
	apply(t, l, Status("wamid.other", "sent", ""))
	require.True(t, must(l.OptedOut(t.Context(), Sender, "+33600000009"))(t))
}

func optOutStatus(at time.Time) inbound.Notification {
	n := Status(fmt.Sprint("wamid.", at.Unix()), "failed", "")
	n.Timestamp, n.Errors = at, []inbound.Fault{{Error: graph.Error{Code: 131050}}}
	return n
}

func contacts(t *testing.T, l ledger.Ledger, _ *Clock) {
	require.Equal(t, []string{"5511987654321"}, contactIDs(t, l, "+5511987654321"), "nothing is known")
	a := Accepted("f1.a.1", "wamid.1")
	a.Recipient, a.WaID = "5511987654321", "551187654321" // as Brazil's numbers are rewritten
	recordAnswer(t, l, a)
	require.Equal(t, []string{"551187654321", "5511987654321"}, contactIDs(t, l, "5511987654321"))
	both := Accepted("f1.a.2", "wamid.2")
	both.Recipient, both.UserID = "33600000003", "FR.3"
	recordAnswer(t, l, both)
	require.Equal(t, []string{"33600000003", "FR.3"}, contactIDs(t, l, "FR.3"), "an answer may name both")
	n := Message("wamid.in", "oi")
	n.WaID, n.From, n.UserID, n.ParentUserID = "551187654321", "+551187654321", "BR.1", "BR.ENT.1"
	updates := apply(t, l, n)
	all := []string{"551187654321", "5511987654321", "BR.1", "BR.ENT.1"}
	require.Equal(t, all, updates[0].Contact)
	for _, id := range all {
		require.Equal(t, all, contactIDs(t, l, id))
	}
	n = Message("wamid.in.2", "")
	n.Type, n.WaID, n.From, n.UserID = "system", "", "BR.2", "BR.2"
	n.Details = map[string]any{"system": map[string]any{"type": "user_changed_user_id", "user_id": "BR.2", "previous_user_id": "BR.1"}}
	apply(t, l, n)
	apply(t, l, inbound.Notification{Kind: "user_id_update", UserID: "BR.3", Details: map[string]any{"user_id": map[string]any{"previous": "BR.2", "current": "BR.3"}}})
	require.Equal(t, []string{"551187654321", "5511987654321", "BR.1", "BR.2", "BR.3", "BR.ENT.1"}, contactIDs(t, l, "BR.3"))
	n = Message("wamid.in.3", "oi")
	n.WaID, n.From, n.OtherWaID = "551187654322", "+551187654322", "5511987654322"
	require.Equal(t, []string{"551187654322", "5511987654322"}, apply(t, l, n)[0].Contact, "a webhook may tell both by itself")
	require.Equal(t, []string{Person}, contactIDs(t, l, Person))
}

// mergedContacts tests a person who is known by a number and by a user ID, until Meta names both.
func mergedContacts(t *testing.T, l ledger.Ledger, clock *Clock) {
	byNumber := Message("wamid.in.1", "un")
	byID := Message("wamid.in.2", "deux")
	byID.WaID, byID.From, byID.UserID, byID.Timestamp = "", "FR.1", "FR.1", Start().Add(time.Minute)
	out := Preference("stop", Start())
	out.WaID, out.UserID = "", "FR.1"
	clock.Advance(time.Minute)
	apply(t, l, byNumber, byID, out)
	require.Equal(t, Start(), window(t, l).Wrote)
	require.False(t, optedOut(t, l))

	both := Status("wamid.out", "delivered", "")
	both.UserID = "FR.1"
	updates := apply(t, l, both)
	require.Equal(t, []string{Person, "FR.1"}, updates[0].Contact)
	require.Equal(t, byID.Timestamp, window(t, l).Wrote)
	require.True(t, optedOut(t, l))
	require.Equal(t, []inbound.Notification{byNumber, byID}, must(l.Inbound(t.Context(), "", "FR.1", Start()))(t))
}

func changedNumber(t *testing.T, l ledger.Ledger, _ *Clock) {
	apply(t, l, Message("wamid.in.1", "oui"))
	n := Message("wamid.in.2", "")
	n.Type, n.Details = "system", map[string]any{"system": map[string]any{"type": "user_changed_number", "wa_id": "33698765432"}}
	apply(t, l, n)
	require.Equal(t, []string{"33698765432"}, contactIDs(t, l, "33698765432"))
	require.Equal(t, whatsapp.WindowUnknown, window(t, l).State, "the old number may become somebody else's")
	require.Len(t, must(l.Inbound(t.Context(), Sender, "33698765432", Start()))(t), 2, "what they wrote stays theirs")

	next := Message("wamid.in.3", "bonjour")
	next.UserID = "FR.NEXT"
	apply(t, l, next)
	require.Empty(t, apply(t, l, n))
	require.Equal(t, []string{Person, "FR.NEXT"}, contactIDs(t, l, Person), "old updates takes it from nobody")
}

func messagesSince(t *testing.T, l ledger.Ledger, clock *Clock) {
	tell := func(id string, since, received time.Duration) {
		n := Message(id, id)
		n.Timestamp = Start().Add(since).Truncate(time.Second)
		clock.Advance(Start().Add(received).Sub(clock.Now()))
		apply(t, l, n)
	}
	since := time.Hour + 500*time.Millisecond
	tell("before", time.Minute, time.Minute)
	tell("at once, in the same second", since, since+100*time.Millisecond)
	tell("late, from before", 30*time.Minute, 2*time.Hour)
	tell("later", 3*time.Hour, 3*time.Hour)
	other := Message("to another number", "")
	other.PhoneNumberID, other.Timestamp = "another", clock.Now()
	stranger := Message("from another", "")
	stranger.WaID, stranger.From, stranger.Timestamp = "33600000002", "+33600000002", clock.Now()
	apply(t, l, other, stranger)
	look := func(sender, contact string) (ids []string) {
		found := must(l.Inbound(t.Context(), sender, contact, Start().Add(since)))(t)
		for _, n := range found {
			ids = append(ids, n.MessageID)
		}
		return ids
	}
	require.Equal(t, []string{"at once, in the same second", "later"}, look(Sender, Person))
	require.Equal(t, []string{"at once, in the same second", "later", "to another number"}, look("", "+"+Person))
	require.Empty(t, look(Sender, "33600000003"))
}
