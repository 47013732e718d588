package ledger_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/ledger/ledgertest"

	"github.com/stretchr/testify/require"
)

func TestDeliveries(t *testing.T) {
	l := &ledger.Memory{Options: ledger.Options{Now: ledgertest.Start}}
	late := ledgertest.Message("wamid.late", "hier")
	late.Timestamp = ledgertest.Start().Add(-24 * time.Hour)
	undated := ledgertest.Message("wamid.undated", "jamais")
	undated.Timestamp = time.Time{}
	group := ledgertest.Status("wamid.2", "read", "")
	told := []inbound.Notification{
		ledgertest.Message("wamid.in", "oui"), ledgertest.Status("wamid.1", "sent", "f1.a.1"), late, undated, group,
		ledgertest.Preference("stop", ledgertest.Start()), {Kind: "security"},
	}
	_, err := l.Apply(t.Context(), told...)
	require.NoError(t, err)
	again, err := l.Apply(t.Context(), told...)
	require.NoError(t, err)
	received := ledgertest.Start().Add(time.Second)
	receipts, events := ledger.Deliveries(again, received)

	require.Len(t, receipts, 1, "also of what was known")
	require.Equal(t, "f1.a.1", receipts[0].Key)
	require.Len(t, events, 3)
	require.Equal(t, "wamid.in", events[0].ID)
	require.Equal(t, "whatsapp.message", events[0].Name)
	require.Equal(t, []string{ledgertest.Person}, events[0].Subjects)
	require.Equal(t, "oui", events[0].Data["text"])
	require.Equal(t, received, events[0].At, "when it came")
	require.Equal(t, late.Timestamp.Add(5*time.Second), events[1].At, "a late one is none of today's")
	require.Equal(t, received, events[2].At)
	require.Equal(t, received, events[2].Data["timestamp"], "an undated one is from now")
}

// TestDeliveriesFit lets all that Meta documents become events and receipts that flows take.
func TestDeliveriesFit(t *testing.T) {
	kinds := map[string]func(string) (string, error){}
	for _, kind := range whatsapp.Events() {
		kinds[kind.Name] = kind.Subject
	}
	files, err := filepath.Glob("../../../testdata/webhooks/*.json")
	require.NoError(t, err)
	l := &ledger.Memory{}
	found := 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		told, err := inbound.Parse(body)
		require.NoError(t, err)
		updates, err := l.Apply(t.Context(), told...)
		require.NoError(t, err)
		receipts, events := ledger.Deliveries(updates, time.Now())
		for _, r := range receipts {
			require.NotEmpty(t, r.Key, file)
			require.NotEmpty(t, r.ID, file)
		}
		for _, e := range events {
			found++
			require.NotEmpty(t, e.Subjects, file)
			from, err := kinds[e.Name](e.Data["from"].(string))
			require.NoError(t, err, file)
			require.Contains(t, e.Subjects, from, "a wait for whom it is from finds it: %s", file)
			for _, subject := range e.Subjects {
				same, err := kinds[e.Name](subject)
				require.NoError(t, err, file)
				require.Equal(t, same, subject, file)
			}
		}
	}
	require.Greater(t, found, 20)
}
