package cluster_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e"
	"facteur/e2e/cluster"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// head is the beginning of the tests' flows.
const head = `
flow: %s
inputs:
  phone: {type: string, format: e164}
  sender: {type: string, default: "106540352242922"}
steps:
`

// send is a step that sends a message to the phone.
const send = `  - {id: send, action: whatsapp.send_message, connection: shop, unknown_timeout: 2s, with: {recipient: "${inputs.phone}", sender_phone_id: "${inputs.sender}", message_type: text, message: {body: Bonjour}}}
`

// A daemon is killed while a thousand runs send, and webhooks are held back until the other
// daemons have taken over its runs. Nothing is lost and nothing is sent twice. Webhooks settle
// the unknown outcomes, except those of messages that were never sent.
func TestKilledDaemon(t *testing.T) {
	const runs = 1000
	l := newClient(t, cluster.Start(t, 3, map[string]string{"hello": fmt.Sprintf(head, "hello") + send}))
	require.NoError(t, l.API.AddFault(simulator.Fault{Do: simulator.Delay, Delay: simulator.Duration(3 * time.Second)}))
	l.Webhooks.Hold(true)
	var all sync.WaitGroup
	all.Go(func() { l.startAll("hello", runs, inputsOf) })
	for l.API.Counts().Accepted < runs/3 {
		time.Sleep(time.Millisecond)
	}
	l.Daemons[0].Kill()
	t.Logf("killed when %d of %d were accepted", l.API.Counts().Accepted, runs)
	all.Wait()
	before := l.waitEnded(3 * time.Minute)
	l.Webhooks.Hold(false)
	after := l.waitDetails(time.Minute)
	t.Logf("before the webhooks: %d runs with unknown outcomes", before)
	c := l.count(after)
	t.Log(c)
	assert.Equal(t, runs, c.acknowledged)
	assert.Positive(t, c.unknownAtFirst)
	assert.Equal(t, runs-c.accepted, c.unknown, "nobody knows only of what was never sent")

	// Settled by hand as not sent, they are retried and sent, by the daemon that was killed.
	l.API.ClearFaults()
	l.Daemons[0].Start()
	var settled []string
	for run, d := range after {
		if d.Unknown == 0 {
			continue
		}
		_, said, code := l.Daemons[1].Command("runs", "settle", run, "send", "--not-sent")
		require.Zero(t, code, said)
		_, said, code = l.Daemons[0].Command("runs", "retry", run)
		require.Zero(t, code, said)
		settled = append(settled, run)
	}
	after = l.waitDetails(time.Minute)
	for _, run := range settled {
		assert.EqualValues(t, "succeeded", after[run].Status)
	}
	c = l.count(after)
	t.Logf("%d were settled by hand: %v", len(settled), c)
	assert.Equal(t, runs, c.accepted)
}
