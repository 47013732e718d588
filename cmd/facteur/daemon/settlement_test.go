package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unsettled is a host with one run, whose one call may have happened.
type unsettled struct {
	host.Host
	said     *host.Settlement
	receipts []call.Receipt
}

func (h *unsettled) Get(context.Context, string) (*host.Report, error) {
	return &host.Report{Calls: []host.Call{{
		Settled: h.said, Receipts: h.receipts,
		Call: call.Call{
			Key: "f1.run.1", Step: "book/each[0]/notify", Action: whatsapp.SendAction, Connection: "shop", Input: map[string]any{"recipient": "+33612345678"},
		}, Outcome: &call.Outcome{Status: call.Unknown},
	}}}, nil
}

func (h *unsettled) Settle(_ context.Context, run, _ string, s host.Settlement) error {
	if h.said != nil {
		return &host.StateError{Run: run, Reason: "the outcome of notify is not unknown"}
	}
	h.said = &s
	return nil
}

func (h *unsettled) Receive(_ context.Context, receipts ...call.Receipt) error {
	h.receipts = append(h.receipts, receipts...)
	return nil
}

// What a person says was not sent may be sent under its key again; what was, may not.
func TestSettledClaims(t *testing.T) {
	for _, happened := range []bool{false, true} {
		l := &ledger.Memory{}
		claim := whatsapp.Claim{Key: "order-7", Within: time.Hour, Call: "f1.run.1", Recipient: "33612345678"}
		_, err := l.Claim(t.Context(), claim)
		require.NoError(t, err)
		h := settlingHost{Host: &unsettled{}, ledger: l}
		require.NoError(t, h.Settle(t.Context(), "run", "notify", host.Settlement{Happened: happened}))
		claim.Call = "f1.other.1"
		_, err = l.Claim(t.Context(), claim)
		if happened {
			require.Error(t, err)
		} else {
			require.NoError(t, err)
		}
	}
}

// What Meta tells of a message without saying whose it is, before or after a person says
// that, reaches the run, and what is known of the contact.
func TestSettledMessages(t *testing.T) {
	failed := inbound.Notification{
		Kind: "status", MessageID: "wamid.7", Status: "failed", PhoneNumberID: "106540352242922", WaID: "33612345678", Timestamp: time.Now(),
		Errors: []inbound.Fault{{Error: graph.Error{Code: 131050}}},
	}
	for _, before := range []bool{true, false} {
		l := &ledger.Memory{}
		if before {
			news, err := l.Apply(t.Context(), failed)
			require.NoError(t, err)
			require.Nil(t, news[0].Receipt, "nobody knows of which call it is")
		}
		told := &unsettled{}
		h := settlingHost{told, l, func(string) *call.Signature {
			return &call.Signature{Recipient: func(in map[string]any) string { return strings.TrimPrefix(in["recipient"].(string), "+") }}
		}, func(_ context.Context, connection string) string {
			assert.Equal(t, "shop", connection)
			return "106540352242922"
		}}
		require.NoError(t, h.Settle(t.Context(), "run", "notify", host.Settlement{Happened: true, ID: "wamid.7"}))
		if before {
			require.Len(t, told.receipts, 1)
			assert.Equal(t, "f1.run.1", told.receipts[0].Key)
			assert.Equal(t, "failed", told.receipts[0].State)
		} else {
			assert.Empty(t, told.receipts)
			news, err := l.Apply(t.Context(), failed)
			require.NoError(t, err)
			require.NotNil(t, news[0].Receipt)
			assert.Equal(t, "f1.run.1", news[0].Receipt.Key)
		}
		m, ok, err := l.Message(t.Context(), "wamid.7")
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, "f1.run.1", m.Call)
		assert.Equal(t, "33612345678", m.Recipient)
		assert.Equal(t, "106540352242922", m.Sender)
		_, err = l.Apply(t.Context(), inbound.Notification{Kind: "message", MessageID: "wamid.8", PhoneNumberID: "106540352242922", WaID: "33600000000"})
		require.NoError(t, err)
		out, err := l.OptedOut(t.Context(), "106540352242922", "+33612345678")
		require.NoError(t, err)
		assert.True(t, out)
	}
}

// What the ledger did not hear, because it or the daemon was away, it hears when the person
// says it again; what is not so is refused, as always.
func TestSettledAgain(t *testing.T) {
	l := &awayLedger{Ledger: &ledger.Memory{}}
	claim := whatsapp.Claim{Key: "order-7", Within: time.Hour, Call: "f1.run.1", Recipient: "33612345678"}
	_, err := l.Claim(t.Context(), claim)
	require.NoError(t, err)
	told := &unsettled{}
	h := settlingHost{Host: told, ledger: l}
	l.away = errors.New("the server does not answer")
	require.ErrorIs(t, h.Settle(t.Context(), "run", "notify", host.Settlement{}), l.away)
	l.away = nil
	var refused *host.StateError
	require.ErrorAs(t, h.Settle(t.Context(), "run", "notify", host.Settlement{Happened: true}), &refused)
	claim.Call = "f1.other.1"
	_, err = l.Claim(t.Context(), claim)
	require.Error(t, err)

	require.NoError(t, h.Settle(t.Context(), "run", "notify", host.Settlement{}))
	_, err = l.Claim(t.Context(), claim)
	require.NoError(t, err)
	require.NoError(t, h.Receive(t.Context(), call.Receipt{Key: "f1.run.1", State: "sent"}))
	require.ErrorAs(t, h.Settle(t.Context(), "run", "notify", host.Settlement{}), &refused, "it is known better by now")
}

// A run that cannot be rebuilt shows no calls: they are named by their keys.
func TestSettledUnread(t *testing.T) {
	l := &ledger.Memory{}
	claim := whatsapp.Claim{Key: "order-7", Within: time.Hour, Call: "f1.unread.1", Recipient: "33612345678"}
	_, err := l.Claim(t.Context(), claim)
	require.NoError(t, err)
	require.NoError(t, settlingHost{Host: &unsettled{}, ledger: l}.Settle(t.Context(), "unread", "f1.unread.1", host.Settlement{}))
	claim.Call = "f1.other.1"
	_, err = l.Claim(t.Context(), claim)
	require.NoError(t, err)
}

// An awayLedger is one that gives up no claim while it is away.
type awayLedger struct {
	ledger.Ledger
	away error
}

func (l *awayLedger) Release(ctx context.Context, call string) error {
	if l.away != nil {
		return l.away
	}
	return l.Ledger.Release(ctx, call)
}
