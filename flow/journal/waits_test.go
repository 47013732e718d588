package journal_test

import (
	"encoding/json"
	"testing"
	"time"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

// FuzzWaits: whatever lies on the disk, reading it ends, and what was read once is read
// again after it was written.
func FuzzWaits(f *testing.F) {
	for _, w := range []journal.Waits{
		{}, journaltest.Waits("anna"), {Keys: []string{"f1.a.1", ""}}, {Note: json.RawMessage("{}")},
		{Until: time.Unix(0, 0), Subscriptions: make([]journal.Subscription, 2)},
	} {
		b := journal.EncodeWaits(w)
		f.Add(b)
		if len(b) > 1 {
			f.Add(b[:len(b)-1])
			f.Add(append(b[:len(b):len(b)], "a field that is not known yet"...))
		}
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := journal.DecodeWaits(b)
		if err != nil {
			return
		}
		again, err := journal.DecodeWaits(journal.EncodeWaits(w))
		require.NoError(t, err)
		require.Equal(t, w, again)
	})
}
