package ledger_test

import (
	"path/filepath"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger/ledgertest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStrangers asks about people of whom nobody has heard, one who wrote before the ledger
// was opened, and one who writes while it is.
func TestStrangers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	writes := func(id string) inbound.Notification {
		m := ledgertest.Message("wamid."+id, "oui")
		m.WaID, m.Timestamp = id, time.Now()
		return m
	}
	l := openSQLite(t, path, nil)
	_, err := l.Apply(t.Context(), writes("33600000001"))
	require.NoError(t, err)
	require.NoError(t, l.Close())

	l = openSQLite(t, path, nil)
	require.Eventually(t, func() bool { return l.IsUnknownContact("33600000002") && l.IsUnknownContact("33600000003") }, 10*time.Second, time.Millisecond)
	_, err = l.Apply(t.Context(), writes("33600000002"))
	require.NoError(t, err)
	for id, want := range map[string]whatsapp.Window{
		"33600000001": whatsapp.WindowOpen, "+33600000002": whatsapp.WindowOpen, "33600000003": whatsapp.WindowUnknown,
	} {
		w, err := l.Window(t.Context(), ledgertest.Sender, id)
		require.NoError(t, err)
		assert.Equal(t, want, w.State, id)
	}
}
