package daemon

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/simulator"
	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is older than the retention is forgotten; silence is noticed.
func TestUpkeep(t *testing.T) {
	o, api, log := options(t)
	d, err := Open(t.Context(), t.Context(), o)
	require.NoError(t, err)
	defer func() {
		_ = d.Stop(t.Context())
		d.Close()
	}()
	client := &server.Client{URL: "http://localhost", HTTP: &http.Client{Transport: handled{d}}}
	for range 3 {
		_, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{Wait: 10 * time.Second})
		require.NoError(t, err)
	}
	assert.Equal(t, 3, api.Counts().Accepted)
	silent := d.silent(t.Context(), time.Now().Add(11*time.Minute))
	require.Len(t, silent, 1)
	assert.Equal(t, "106540352242922", silent[0].Sender)

	// Another daemon that shares the ledger is told.
	id := api.Messages(simulator.Filter{})[0].ID
	_, err = d.ledger.Apply(t.Context(), inbound.Notification{Kind: "status", MessageID: id, PhoneNumberID: "106540352242922", Status: "sent", To: grace, Timestamp: time.Now()})
	require.NoError(t, err)
	for _, told := range []struct {
		message string
		silent  int
	}{{id, 0}, {"wamid.other", 1}} {
		d.silence = inbound.SilenceMonitor{}
		d.silence.Sent("106540352242922", told.message, time.Now())
		assert.Len(t, d.silent(t.Context(), time.Now().Add(11*time.Minute)), told.silent)
	}

	d.prune(t.Context())
	list, err := client.Runs(t.Context(), host.Filter{})
	require.NoError(t, err)
	assert.Len(t, list.Runs, 3)
	d.config.Retention = -time.Minute
	d.prune(t.Context())
	list, err = client.Runs(t.Context(), host.Filter{})
	require.NoError(t, err)
	assert.LessOrEqual(t, len(list.Runs), 1, "the last one stays, for its number")
	assert.Contains(t, log.String(), `msg="expired data was deleted" what=journal`)
}

// A call of which nobody knows whether it happened is in the log at once, and once more for
// those that nobody was there to see.
func TestDoubtsAreLogged(t *testing.T) {
	o, api, log := options(t)
	d, client := opened(t, o)
	assert.Zero(t, d.warnOfUnknown(t.Context(), 0))
	assert.NotContains(t, log.String(), "known")

	require.NoError(t, api.AddFault(simulator.Fault{Do: "reset", Times: 1}))
	_, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{Wait: time.Millisecond})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "it is not known whether a call happened") }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return d.warnOfUnknown(t.Context(), 0) == 1 }, 10*time.Second, time.Millisecond)
	assert.Contains(t, log.String(), `msg="some runs have calls whose outcome is unknown" runs=1 and_more=false`)
	before := log.String()
	assert.Equal(t, 1, d.warnOfUnknown(t.Context(), 1))
	assert.Equal(t, before, log.String(), "it is told once")
}

// handled asks a daemon without a network.
type handled struct{ d *Daemon }

func (h handled) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	req.Host = "localhost"
	h.d.socketHandler(req.Context()).ServeHTTP(w, req)
	return w.Result(), nil
}
