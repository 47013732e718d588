package cluster_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"facteur/e2e/cluster"
	"facteur/server"
)

const hello = `
flow: hello
inputs:
  phone: {type: string, format: e164}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: Bonjour}}
outputs:
  message_id: ${steps.notify.outputs.message_id}
`

// One daemon carries a run.
func TestOne(t *testing.T) {
	c := cluster.Start(t, 1, map[string]string{"hello": hello})
	started, err := c.Daemons[0].Client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": "+33639980001"}}, server.StartOption{Wait: time.Minute})
	require.NoError(t, err)
	require.EqualValues(t, "succeeded", started.Status)
	require.Equal(t, 1, c.API.Counts().Accepted)
	stdout, stderr, code := c.Daemons[0].Command("runs", "show", started.RunID)
	t.Log(stdout, stderr, code)
	stdout, stderr, code = c.Daemons[0].Command("runs", "list")
	t.Log(stdout, stderr, code)
	stdout, stderr, code = c.Daemons[0].Command("health")
	t.Log(stdout, stderr, code)
	t.Log(c.Daemons[0].Log)
}
