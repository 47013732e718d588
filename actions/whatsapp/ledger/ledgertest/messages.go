package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func twice(t *testing.T, l ledger.Ledger, clock *Clock) {
	for _, n := range []inbound.Notification{
		Status("wamid.1", "sent", "f1.a.1"), Status("wamid.1", "delivered", "f1.a.1"), Status("wamid.2", "sent", "f1.a.2"),
		Message("wamid.1", "oui"), Preference("stop", clock.Now()), Preference("resume", clock.Now()),
		{Kind: "account_update", Status: "DISABLED"}, {Kind: "account_update", Status: "REINSTATED"},
		{Kind: "call", MessageID: "wacid.1", Status: "connect"}, {Kind: "call", MessageID: "wacid.1", Status: "terminate"},
		inGroup("33600000001"), inGroup("33600000002"), payment("success"), payment("refunded"),
	} {
		first := apply(t, l, n, n)
		require.Len(t, first, 1)
		require.Equal(t, n, first[0].Notification)
		clock.Advance(time.Hour)
		require.Empty(t, apply(t, l, n), "%+v", n)
	}
}

func inGroup(waID string) inbound.Notification {
	n := Status("wamid.group", "delivered", "")
	n.GroupID, n.WaID = "group", waID
	return n
}

// payment is a status of a payment, which is "captured" also when it is refunded.
func payment(transaction string) inbound.Notification {
	n := Status("wamid.order", "captured", "")
	n.Kind, n.Details = "payment", map[string]any{"payment": map[string]any{"transaction": map[string]any{"status": transaction}}}
	return n
}

func twiceAtOnce(t *testing.T, l ledger.Ledger, _ *Clock) {
	var mu sync.Mutex
	updates := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 50 {
				found, err := l.Apply(t.Context(), Status(fmt.Sprint(i), "sent", ""), Message(fmt.Sprint(i), "oui"))
				assert.NoError(t, err)
				mu.Lock()
				updates += len(Fresh(found))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Equal(t, 100, updates)
}

// anyOrder applies the statuses of messages in random orders, which must not matter.
func anyOrder(t *testing.T, l ledger.Ledger, _ *Clock) {
	rank := []string{"sent", "failed", "delivered", "read"}
	for i := range 100 {
		id := fmt.Sprintf("wamid.%d", i)
		told := slices.Clone(rank)
		rand.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
		told = told[:1+rand.IntN(len(told))]
		answered := rand.IntN(len(told) + 1)
		furthest := -1
		for n, status := range told {
			if n == answered {
				recordAnswer(t, l, Accepted("f1.a.1", id))
			}
			apply(t, l, Status(id, status, ""))
			furthest = max(furthest, slices.Index(rank, status))
			m := message(t, l, id)
			require.Equal(t, rank[furthest], string(m.State), "%v", told)
			require.Equal(t, at(rank[furthest]), m.At, "%v", told)
		}
		apply(t, l, Status(id, "warning", ""))
		m := message(t, l, id)
		require.Equal(t, rank[furthest], string(m.State), "what is not known says nothing")
		require.Len(t, m.Statuses, len(told)+1, "every one is kept")
	}
	apply(t, l, Status("wamid.voice", "played", ""))
	require.EqualValues(t, "read", message(t, l, "wamid.voice").State)
	requireNoMessage(t, l, "wamid.none")
}

func allOrNothing(t *testing.T, l ledger.Ledger, _ *Clock) {
	n := Status("wamid.1", "failed", "f1.a.1|order 7")
	n.Details = map[string]any{"pricing": map[string]any{"billable": true, "count": int64(9007199254740993), "rate": 0.5}, "list": []any{"a", nil}}
	n.Errors = []inbound.Fault{{Error: graph.Error{Code: 131026, Title: "Message undeliverable", Details: "why", Help: "where"}, Class: graph.Recipient}}
	apply(t, l, n)
	require.Equal(t, []inbound.Notification{n}, message(t, l, "wamid.1").Statuses)
	r, _ := n.Receipt()
	require.Equal(t, r, receiptsOf(t, l, "f1.a.1")[0])

	in := Message("wamid.in", "oui")
	in.Raw = map[string]any{"id": "wamid.in", "text": map[string]any{"body": "oui"}, "n": int64(7)}
	apply(t, l, in)
	found := must(l.Inbound(t.Context(), Sender, Person, Start()))(t)
	require.Equal(t, []inbound.Notification{in}, found)
	_, ok := found[0].Event()
	require.True(t, ok)
}

// knownAgain repeats webhooks: their receipts and contacts are returned again, as known by then.
func knownAgain(t *testing.T, l ledger.Ledger, _ *Clock) {
	told := []inbound.Notification{
		Status("wamid.1", "sent", "f1.a.1"), Status("wamid.1", "failed", ""), Status("wamid.2", "failed", ""), Message("wamid.in", "oui"), {Kind: "security"},
	}
	first := must(l.Apply(t.Context(), told...))(t)
	recordAnswer(t, l, Accepted("f1.a.2", "wamid.2"))
	named := Message("wamid.named", "c'est moi")
	named.UserID = "FR.1"
	apply(t, l, named)

	again := must(l.Apply(t.Context(), append(told, Status("wamid.1", "delivered", ""))...))(t)
	require.Len(t, again, len(told)+1)
	for i, n := range again[:len(told)] {
		require.False(t, first[i].Known)
		require.True(t, n.Known)
		require.Equal(t, told[i], n.Notification, "in the same order")
	}
	require.False(t, again[len(told)].Known)
	require.Equal(t, first[0].Receipt, again[0].Receipt)
	require.Equal(t, first[1].Receipt, again[1].Receipt)
	require.Equal(t, "f1.a.1", again[1].Receipt.Key)
	require.Nil(t, first[2].Receipt)
	require.Equal(t, "f1.a.2", again[2].Receipt.Key, "whose it is is known since")
	require.Equal(t, []string{Person}, first[3].Contact)
	require.Equal(t, []string{Person, "FR.1"}, again[3].Contact)
	require.Nil(t, again[4].Receipt)
	require.Empty(t, again[4].Contact)
	require.Len(t, receiptsOf(t, l, "f1.a.1"), 3, "it is stored once")
}

func receipts(t *testing.T, l ledger.Ledger, _ *Clock) {
	require.Empty(t, receiptsOf(t, l, "f1.a.1"))
	updates := apply(t, l, Status("wamid.1", "delivered", "f1.a.1"), Status("wamid.1", "sent", "f1.a.1|x"), Status("wamid.1", "failed", ""), Status("wamid.2", "sent", "f1.a.2"), Status("wamid.3", "sent", ""))
	for i, want := range []string{"delivered", "sent", "failed"} {
		require.Equal(t, want, updates[i].Receipt.State)
		require.Equal(t, "f1.a.1", updates[i].Receipt.Key, "also of one that does not name its call")
	}
	require.Nil(t, updates[4].Receipt, "whose it is is not known")
	var states []string
	for _, r := range receiptsOf(t, l, "f1.a.1") {
		require.Equal(t, "f1.a.1", r.Key)
		states = append(states, r.State)
	}
	require.Equal(t, []string{"delivered", "sent", "failed"}, states, "as they came")
	apply(t, l, Status("wamid.1", "read", ""))
	all := must(l.Receipts(t.Context(), time.Time{}, "f1.a.2", "f1.none.1", "f1.a.1"))(t)
	var told []string
	for _, r := range all {
		told = append(told, r.Key+" "+r.State)
	}
	require.Equal(t, []string{"f1.a.1 delivered", "f1.a.1 sent", "f1.a.1 failed", "f1.a.2 sent", "f1.a.1 read"}, told, "of several calls, too")
}

func answerAlone(t *testing.T, l ledger.Ledger, clock *Clock) {
	recordAnswer(t, l, Accepted("f1.a.1", "wamid.1"))
	recordAnswer(t, l, Accepted("f1.a.2", ""))
	want := call.Receipt{Key: "f1.a.1", ID: "wamid.1:accepted", State: call.Accepted, Data: map[string]any{"message_id": "wamid.1"}}
	require.Equal(t, []call.Receipt{want}, must(l.Receipts(t.Context(), time.Time{}, "f1.a.2", "f1.a.1"))(t), "what was refused has none")
	clock.Advance(time.Hour)
	require.Empty(t, must(l.Receipts(t.Context(), clock.Now(), "f1.a.1"))(t), "it is of an earlier call")
	apply(t, l, Status("wamid.1", "failed", ""))
	found := must(l.Receipts(t.Context(), clock.Now().Add(-2*time.Hour), "f1.a.1"))(t)
	require.Len(t, found, 1)
	require.Equal(t, "failed", found[0].State, "Meta knows better")
}

func earlierReceipts(t *testing.T, l ledger.Ledger, clock *Clock) {
	apply(t, l, Status("wamid.1", "delivered", "f1.a.1"))
	clock.Advance(time.Hour)
	began := clock.Now()
	apply(t, l, Status("wamid.1", "read", "f1.a.1"), Status("wamid.2", "sent", "f1.a.1"))
	found := must(l.Receipts(t.Context(), began, "f1.a.1"))(t)
	require.Len(t, found, 1, "neither what came before, nor what came of it later")
	require.Equal(t, "wamid.2", found[0].Data["message_id"])
	require.Len(t, must(l.Receipts(t.Context(), began.Add(-time.Hour), "f1.a.1"))(t), 3)
}

func overtaken(t *testing.T, l ledger.Ledger, _ *Clock) {
	updates := apply(t, l, Status("wamid.1", "failed", ""))
	require.Nil(t, updates[0].Receipt)
	found := recordAnswer(t, l, Accepted("f1.a.1", "wamid.1"))
	require.Len(t, found, 1)
	require.Equal(t, "f1.a.1", found[0].Key)
	require.Equal(t, "failed", found[0].State)
	require.Len(t, receiptsOf(t, l, "f1.a.1"), 1)
	require.Empty(t, recordAnswer(t, l, Accepted("f1.a.1", "wamid.1")), "they are told once")
	m := message(t, l, "wamid.1")
	require.EqualValues(t, "failed", m.State)
	require.Equal(t, []string{"f1.a.1", Sender, Person}, []string{m.Call, m.Sender, m.Recipient})
}
