package main

import (
	"context"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"

	"github.com/stretchr/testify/require"
)

// unsettled is a host with one run, whose one call may have happened.
type unsettled struct{ host.Host }

func (unsettled) Get(context.Context, string) (*host.Report, error) {
	return &host.Report{Calls: []host.Call{{
		Call: call.Call{Key: "f1.run.1", Step: "book/each[0]/notify"}, Outcome: &call.Outcome{Status: call.Unknown},
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
		h := settlingHost{unsettled{}, l}
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
