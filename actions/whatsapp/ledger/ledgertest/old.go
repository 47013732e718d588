package ledgertest

import (
	"os"
	"path/filepath"
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
	_, err := l.Claim(t.Context(), Claim("f1.old.1", "k"))
	require.NoError(t, err)
	_, err = l.RecordAnswer(t.Context(), Accepted("f1.old.1", "wamid.1"))
	require.NoError(t, err)
	in := Message("wamid.in", "oui")
	in.UserID = "FR.1"
	updates, err := l.Apply(t.Context(), in, Status("wamid.1", "sent", "f1.old.1"), Preference("stop", Start()))
	require.NoError(t, err)
	return Fresh(updates)
}

// HoldsOld checks that a ledger that was migrated from an older schema still holds what WriteOld
// wrote. Its clock shows Start.
func HoldsOld(t *testing.T, l ledger.Ledger) {
	t.Helper()
	require.Empty(t, WriteOld(t, l), "it is known")
	w, err := l.Window(t.Context(), Sender, Person)
	require.NoError(t, err)
	require.Equal(t, whatsapp.WindowOpen, w.State)
	out, err := l.OptedOut(t.Context(), Sender, "FR.1")
	require.NoError(t, err)
	require.True(t, out)
	repeats, err := l.Claim(t.Context(), Claim("f1.new.1", "k"))
	require.NoError(t, err)
	require.Equal(t, "wamid.1", repeats)
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
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		told, err := inbound.Parse(body)
		require.NoError(t, err)
		want, err := memory.Apply(t.Context(), told...)
		require.NoError(t, err)
		updates, err := l.Apply(t.Context(), told...)
		require.NoError(t, err, file)
		require.Equal(t, want, updates, file)
		updates, err = l.Apply(t.Context(), told...)
		require.NoError(t, err, file)
		require.Empty(t, Fresh(updates), file)
		for _, n := range told {
			if n.Kind != "message" || n.WaID == "" {
				continue
			}
			found, err := l.Inbound(t.Context(), n.PhoneNumberID, n.WaID, time.Unix(0, 0))
			require.NoError(t, err, file)
			for _, one := range found {
				if one.MessageID == n.MessageID && one.Type == n.Type && one.Text == n.Text {
					_, event := n.Event()
					_, again := one.Event()
					require.Equal(t, event, again, file)
				}
			}
		}
	}
}
