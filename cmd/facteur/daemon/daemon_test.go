package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/logtest"
	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sendsHello = `
flow: hello
inputs:
  phone: {type: string, format: e164}
steps:
  - {id: notify, action: whatsapp.send_message, connection: shop, with: {recipient: "${inputs.phone}", message_type: text, message: {body: Bonjour}}}
`

const grace = "+33612345678"

// options are those of a daemon over a simulator, with a flow hello, and its log.
func options(t *testing.T) (o Options, api *simulator.Simulator, log *logtest.Lines) {
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
	log = &logtest.Lines{}
	return Options{
		Project: p, Flows: flows, Log: slog.New(slog.NewTextHandler(log, nil)),
		Settings: project.Server{Listen: "127.0.0.1:0", InsecureWebhooks: true, Retention: time.Hour},
	}, api, log
}

// A daemon is found and asked while it runs; a second one on its folder is told which it is.
func TestRun(t *testing.T) {
	o, api, log := options(t)
	soft, stop := context.WithCancel(t.Context())
	defer stop()
	d, err := Open(soft, t.Context(), o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(soft, stop) }()
	plate, ok := Find(o.Project.Abs(o.Project.Data))
	require.True(t, ok)
	assert.Equal(t, os.Getpid(), plate.PID)
	started, err := plate.Client().Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{Wait: 10 * time.Second})
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, started.Status)
	assert.Equal(t, 1, api.Counts().Accepted)

	_, err = Open(soft, t.Context(), o)
	var wrong *project.Error
	require.ErrorAs(t, err, &wrong)
	assert.True(t, wrong.System)
	assert.Contains(t, wrong.Error(), "at "+plate.URL+", is already using the data folder")
	assert.Contains(t, wrong.Hint, "stop it first")

	stop()
	require.NoError(t, <-ended)
	d.Close()
	_, ok = Find(o.Project.Abs(o.Project.Data))
	assert.False(t, ok)
	assert.Contains(t, log.String(), "msg=stopped")
}

// One that is embedded listens nowhere, and runs what it is given.
func TestEmbedded(t *testing.T) {
	o, _, _ := options(t)
	o.Embedded = true
	d, err := Open(t.Context(), t.Context(), o)
	require.NoError(t, err)
	defer d.Close()
	assert.NoFileExists(t, filepath.Join(o.Project.Abs(o.Project.Data), endpointFile))
	require.NotNil(t, d.Flows().Plan("hello"))
	none := *o.Flows
	none.Plans = nil
	d.SetFlows(&none)
	assert.Nil(t, d.Flows().Plan("hello"))
	require.NoError(t, d.Stop(t.Context()))
}
