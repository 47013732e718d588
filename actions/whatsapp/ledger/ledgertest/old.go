package ledgertest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/require"
)

// WriteOld writes what the ledgers of released schemas in the test data hold: see HoldsOld.
func WriteOld(t *testing.T, l ledger.Ledger) (fresh []ledger.Update) {
	t.Helper()
	must(l.Claim(t.Context(), Claim("f1.old.1", "k")))(t)
	recordAnswer(t, l, Accepted("f1.old.1", "wamid.1"))
	in := Message("wamid.in", "oui")
	in.UserID = "FR.1"
	return Fresh(must(l.Apply(t.Context(), in, Status("wamid.1", "sent", "f1.old.1"), Preference("stop", Start())))(t))
}

// HoldsOld checks that a ledger that was migrated from an older schema still holds what WriteOld
// wrote. Its clock shows Start.
func HoldsOld(t *testing.T, l ledger.Ledger) {
	t.Helper()
	require.Empty(t, WriteOld(t, l), "it is known")
	require.Equal(t, whatsapp.WindowOpen, must(l.Window(t.Context(), Sender, Person))(t).State)
	require.True(t, must(l.OptedOut(t.Context(), Sender, "FR.1"))(t))
	require.Equal(t, "wamid.1", must(l.Claim(t.Context(), Claim("f1.new.1", "k")))(t))
}

// ExampleWebhooks stores the webhooks in a folder, whole, and again. The ledger is empty, and lives
// by Start.
func ExampleWebhooks(t *testing.T, folder string, l ledger.Ledger) {
	t.Helper()
	memory := &ledger.Memory{Options: ledger.Options{Now: Start}}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			told, err := inbound.Parse(body)
			require.NoError(t, err)
			want := must(memory.Apply(t.Context(), told...))(t)
			require.Equal(t, want, must(l.Apply(t.Context(), told...))(t))
			require.Empty(t, Fresh(must(l.Apply(t.Context(), told...))(t)))
			for _, u := range Fresh(want) {
				if u.Kind == "message" && u.WaID != "" {
					readsAgain(t, l, u.Notification)
				}
			}
		})
	}
}

// readsAgain checks that the event of a stored message is that of the notification.
func readsAgain(t *testing.T, l ledger.Ledger, n inbound.Notification) {
	t.Helper()
	all := must(l.Inbound(t.Context(), n.PhoneNumberID, n.WaID, time.Unix(0, 0)))(t)
	i := slices.IndexFunc(all, func(stored inbound.Notification) bool { return stored.MessageID == n.MessageID })
	require.GreaterOrEqual(t, i, 0)
	want, isEvent := n.Event()
	got, isStillEvent := all[i].Event()
	require.Equal(t, isEvent, isStillEvent)
	require.Equal(t, want, got)
}
