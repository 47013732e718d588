package ledgertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/require"
)

// The operations of benchmarks, for n = 1, 2, …

// StoreStatus stores a status, one in a webhook.
func StoreStatus(ctx context.Context, l ledger.Ledger, n int) error {
	status := [...]string{"sent", "delivered", "read"}[n%3]
	_, err := l.Apply(ctx, Status(fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d", n/3), status, fmt.Sprintf("f1.run_%08d.1", n/3)))
	return err
}

// StoreMessage stores a message of one of many people.
func StoreMessage(ctx context.Context, l ledger.Ledger, n int) error {
	m := Message(fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d", n), "oui")
	m.WaID, m.UserID = fmt.Sprintf("336%08d", n%10_000), fmt.Sprintf("FR.%08d", n%10_000)
	_, err := l.Apply(ctx, m)
	return err
}

// RecordAccepted records the answer to an accepted send.
func RecordAccepted(ctx context.Context, l ledger.Ledger, n int) error {
	call := fmt.Sprintf("f1.run_%08d.1", n)
	_, err := l.RecordAnswer(ctx, Accepted(call, "wamid."+call))
	return err
}

// LookAtWindows measures reading the window, as each send of a message that is no template does,
// among ten thousand people.
func LookAtWindows(b *testing.B, l ledger.Ledger) {
	const people = 10_000
	for n := 0; n < people; n += 100 {
		var all []inbound.Notification
		for i := range 100 {
			m := Message(fmt.Sprint("wamid.", n+i), "oui")
			m.WaID, m.Timestamp = fmt.Sprintf("336%08d", n+i), time.Now()
			all = append(all, m)
		}
		_, err := l.Apply(b.Context(), all...)
		require.NoError(b, err)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n += 7919
		w, err := l.Window(b.Context(), Sender, fmt.Sprintf("336%08d", n%people))
		require.NoError(b, err)
		require.Equal(b, whatsapp.WindowOpen, w.State)
	}
}
