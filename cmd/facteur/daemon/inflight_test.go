package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// waitsForBoth waits for a message to a number that only it names, and then for a webhook at a
// path that only it has.
const waitsForBoth = `
flow: both
inputs:
  phone: {type: string, format: e164}
triggers:
  - whatsapp_message: {sender_phone_id: "77", inputs: {phone: "${event.from}"}}
steps:
  - {id: reply, wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 1h}}
  - {id: paid, wait_for: {event: webhook, path: /paid, connection: none, timeout: 1h}}
outputs:
  text: ${steps.reply.outputs.text}
`

// A run goes on to be reached by what it waits for after its flow was taken out of the project,
// and the daemon started anew.
func TestRunsWhoseFlowIsGone(t *testing.T) {
	o, _, _ := options(t)
	o.Embedded = true
	path := filepath.Join(o.Project.Root, "both.flow.yaml")
	require.NoError(t, os.WriteFile(path, []byte(waitsForBoth), 0o600))
	reread := func() {
		var err error
		o.Project, _, err = project.Open(o.Project.Root)
		require.NoError(t, err)
		o.Flows, _, err = project.LoadFlows(o.Project)
		require.NoError(t, err)
	}
	reread()
	d, client := opened(t, o)
	started, err := client.Start(t.Context(), "both", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{})
	require.NoError(t, err)
	require.NoError(t, d.Stop(t.Context()))
	d.Close()

	require.NoError(t, os.Remove(path))
	reread()
	require.NotContains(t, o.Flows.Plans, "both")
	d, client = opened(t, o)
	assert.False(t, d.knowsNumber("shop", "78"))
	post := func(path, body string) int {
		w := httptest.NewRecorder()
		d.Handler(t.Context()).ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		return w.Code
	}
	message := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{
		"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"77"},
		"messages":[{"from":%q,"id":"wamid.reply","timestamp":"%d","type":"text","text":{"body":"oui"}}]}}]}]}`, strings.TrimPrefix(grace, "+"), time.Now().Unix())
	assert.Equal(t, http.StatusOK, post(WebhookPath("shop"), message))
	assert.Equal(t, http.StatusAccepted, post("/hooks/paid", `{}`))
	ended, err := client.Run(t.Context(), started.RunID, 10*time.Second)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, ended.Status)
	assert.Equal(t, "oui", ended.Outputs["text"])
	require.NoError(t, d.Stop(t.Context()))
}
