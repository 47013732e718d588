package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/simulator"
	"facteur/project"
	"facteur/server"
)

const sendsHello = `
flow: hello
inputs:
  phone: {type: string, format: e164}
steps:
  - {id: notify, action: whatsapp.send_message, connection: shop, with: {recipient: "${inputs.phone}", message_type: text, message: {body: Bonjour}}}
`

const grace = "+33612345678"

// opened is a daemon over a simulator, that does not run, and its log.
func opened(t *testing.T) (d *Daemon, api *simulator.Simulator, log *lines) {
	t.Helper()
	api, err := simulator.New(simulator.Options{Seed: 7})
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.Close() })
	graph := httptest.NewServer(api)
	t.Cleanup(graph.Close)
	dir := t.TempDir()
	t.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", "EAAGsimulated+token/of=the+shop")
	text := fmt.Sprintf("connections: {shop: {app: WHATSAPP, sender_phone_id: %q, base_url: %q}}\n", "106540352242922", graph.URL)
	require.NoError(t, os.WriteFile(filepath.Join(dir, project.FileName), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hello.flow.yaml"), []byte(sendsHello), 0o600))
	p, found, err := project.Open(dir)
	require.NoError(t, err)
	require.Empty(t, found)
	flows, found, err := project.LoadFlows(p)
	require.NoError(t, err)
	require.Empty(t, found)
	log = &lines{}
	d, err = Open(t.Context(), t.Context(), Options{
		Project: p, Flows: flows, Log: slog.New(slog.NewTextHandler(log, nil)),
		Settings: project.Server{Listen: "127.0.0.1:0", InsecureWebhooks: true, Retention: time.Hour},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = d.Stop(t.Context())
		d.Close()
	})
	return d, api, log
}

// What is older than the retention is forgotten; silence is noticed.
func TestUpkeep(t *testing.T) {
	d, api, log := opened(t)
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
	_, err := d.ledger.Apply(t.Context(), whatsapp.Notification{Kind: "status", MessageID: id, PhoneNumberID: "106540352242922", Status: "sent", To: grace, Timestamp: time.Now()})
	require.NoError(t, err)
	for _, told := range []struct {
		message string
		silent  int
	}{{id, 0}, {"wamid.other", 1}} {
		d.silence = whatsapp.Silence{}
		d.silence.Sent("106540352242922", told.message, time.Now())
		assert.Len(t, d.silent(t.Context(), time.Now().Add(11*time.Minute)), told.silent)
	}

	d.prune(t.Context())
	list, err := client.Runs(t.Context(), server.Query{})
	require.NoError(t, err)
	assert.Len(t, list.Runs, 3)
	d.config.Retention = -time.Minute
	d.prune(t.Context())
	list, err = client.Runs(t.Context(), server.Query{})
	require.NoError(t, err)
	assert.LessOrEqual(t, len(list.Runs), 1, "the last one stays, for its number")
	assert.Contains(t, log.String(), `msg="forgot what is old" what=journal`)
}

// handled asks a daemon without a network.
type handled struct{ d *Daemon }

func (h handled) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	req.Host = "localhost"
	h.d.inside(req.Context()).ServeHTTP(w, req)
	return w.Result(), nil
}

// lines is what several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
