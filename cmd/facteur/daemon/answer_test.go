package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/simulator"
	"facteur/flow/machine"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemon that was killed when the ledger had heard of an answer, and the run had not, knows
// when it is there again that the message was sent.
func TestAnAnswerThatTheLedgerHeard(t *testing.T) {
	o, api, _ := options(t)
	o.Embedded = true
	d, client := opened(t, o)
	require.NoError(t, api.AddFault(simulator.Fault{Do: simulator.Hang, Recipient: grace}))
	started, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return api.Counts().Accepted == 1 }, time.Minute, time.Millisecond)
	message := api.Accepted(simulator.Filter{})[0]
	_, err = d.ledger.RecordAnswer(t.Context(), whatsapp.Answer{
		Call: "f1." + started.RunID + ".1", Sender: "106540352242922", Recipient: grace, MessageID: message.ID, State: "accepted",
	})
	require.NoError(t, err)
	_, known, err := d.ledger.Message(t.Context(), message.ID)
	require.NoError(t, err)
	require.True(t, known)

	left := t.TempDir()
	require.NoError(t, os.CopyFS(left, os.DirFS(o.Project.Abs(o.Project.Data))))
	require.NoError(t, os.Chmod(filepath.Join(left, "vault.key"), 0o600))
	o.Project.Data = left
	_, client = opened(t, o)
	run, err := client.Run(t.Context(), started.RunID, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, machine.Succeeded, run.Status)
	assert.Zero(t, run.Unknown)
	assert.Equal(t, message.ID, run.Steps[0].Outputs["message_id"])
	assert.Equal(t, "accepted", run.Steps[0].Outputs["delivery"])
	assert.Len(t, api.Accepted(simulator.Filter{}), 1)
}
