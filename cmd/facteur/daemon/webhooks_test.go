package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/flow/host"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A message that Meta tells again, as it does for days, starts its flow once, though the run is
// forgotten by then.
func TestAMessageThatIsToldAgain(t *testing.T) {
	o, _, _ := options(t)
	o.Embedded = true
	require.NoError(t, os.WriteFile(filepath.Join(o.Project.Root, "hello.flow.yaml"), []byte("flow: hello\ntriggers: [{whatsapp_message: {}}]\nsteps: [{set: {done: true}}]\n"), 0o600))
	var err error
	o.Project, _, err = project.Open(o.Project.Root)
	require.NoError(t, err)
	o.Flows, _, err = project.LoadFlows(o.Project)
	require.NoError(t, err)
	d, client := opened(t, o)
	started := func() int {
		list, err := client.Runs(t.Context(), host.Filter{})
		require.NoError(t, err)
		return len(list.Runs)
	}
	tell := func(id string) {
		require.NoError(t, d.applyWebhook(t.Context(), "shop", []inbound.Notification{{
			Kind: "message", Type: "text", Text: "oui", MessageID: id, PhoneNumberID: "106540352242922", WaID: "33612345678", From: "33612345678", Timestamp: time.Now(),
		}}))
	}
	tell("wamid.1")
	tell("wamid.2")
	require.Eventually(t, func() bool { return started() == 2 }, time.Minute, time.Millisecond)
	d.config.Retention = -time.Minute
	require.Eventually(t, func() bool { d.prune(t.Context()); return started() == 1 }, time.Minute, time.Millisecond, "the last one stays, for its number")
	tell("wamid.1")
	tell("wamid.3")
	require.Eventually(t, func() bool { return started() > 1 }, time.Minute, time.Millisecond)
	assert.Equal(t, 2, started())
}

// What Meta tells of a number that a flow names is for us, however the flow writes it, and for as
// long as runs of the flow as it was may go on.
func TestNumbersThatFlowsName(t *testing.T) {
	for _, written := range []string{`sender_phone_id: "77"`, `sender_phone_id: 77`, `"sender_phone_id": "77"`, `sender_phone_id : '77'`} {
		o, _, _ := options(t)
		o.Embedded = true
		path := filepath.Join(o.Project.Root, "hello.flow.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(sendsHello, "with: {", "with: {"+written+", ")), 0o600))
		var err error
		o.Project, _, err = project.Open(o.Project.Root)
		require.NoError(t, err)
		o.Flows, _, err = project.LoadFlows(o.Project)
		require.NoError(t, err)
		d, _ := opened(t, o)
		assert.True(t, d.knowsNumber("shop", "77"), written)
		assert.False(t, d.knowsNumber("shop", "78"))
		require.NoError(t, os.WriteFile(path, []byte(sendsHello), 0o600))
		_, err = d.flows.Reload(t.Context())
		require.NoError(t, err)
		assert.True(t, d.knowsNumber("shop", "77"))
		assert.True(t, d.knowsNumber("shop", "106540352242922"))
		assert.False(t, d.knowsNumber("shop", "78"))
	}
}
