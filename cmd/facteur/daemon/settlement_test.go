package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unsettled is a host with one run, whose one call may have happened.
type unsettled struct{ host.Host }

func (unsettled) Get(context.Context, string) (*host.Report, error) {
	return &host.Report{Calls: []host.Call{{
		Call: call.Call{
			Key: "f1.run.1", Step: "book/each[0]/notify", Action: whatsapp.SendAction, Connection: "shop", Input: map[string]any{"recipient": "+33612345678"},
		}, Outcome: &call.Outcome{Status: call.Unknown},
	}}}, nil
}

func (unsettled) Settle(context.Context, string, string, host.Settlement) error { return nil }

// What a person says was not sent may be sent under its key again; what was, may not.
func TestSettledClaims(t *testing.T) {
	for _, happened := range []bool{false, true} {
		l := &ledger.Memory{}
		claim := whatsapp.Claim{Key: "order-7", Within: time.Hour, Call: "f1.run.1", Recipient: "33612345678"}
		_, err := l.Claim(t.Context(), claim)
		require.NoError(t, err)
		h := settlingHost{Host: unsettled{}, ledger: l}
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
	failed := whatsapp.Notification{
		Kind: "status", MessageID: "wamid.7", Status: "failed", PhoneNumberID: "106540352242922", WaID: "33612345678", Timestamp: time.Now(),
		Errors: []whatsapp.Fault{{GraphError: whatsapp.GraphError{Code: 131050}}},
	}
	for _, before := range []bool{true, false} {
		l := &ledger.Memory{}
		if before {
			news, err := l.Apply(t.Context(), failed)
			require.NoError(t, err)
			require.Nil(t, news[0].Receipt, "nobody knows of which call it is")
		}
		told := &settledHost{}
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
		_, err = l.Apply(t.Context(), whatsapp.Notification{Kind: "message", MessageID: "wamid.8", PhoneNumberID: "106540352242922", WaID: "33600000000"})
		require.NoError(t, err)
		out, err := l.OptedOut(t.Context(), "106540352242922", "+33612345678")
		require.NoError(t, err)
		assert.True(t, out)
	}
}

// settledHost is unsettled, and remembers what it is told.
type settledHost struct {
	unsettled
	receipts []call.Receipt
}

func (h *settledHost) Receive(_ context.Context, receipts ...call.Receipt) error {
	h.receipts = append(h.receipts, receipts...)
	return nil
}
