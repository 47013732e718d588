package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/flow/machine"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sendsAndForgets = `
flow: hello
inputs: {phone: {type: string, format: e164}}
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    unknown_timeout: 100ms
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: Bonjour}}
`

// A daemon that is killed repeatedly while clients start runs over HTTP loses none that it
// acknowledged, and sends nothing twice although the clients repeat requests. The counts are
// those of the stand-in for the Cloud API.
func TestKilledDaemon(t *testing.T) {
	const lives, starts = 12, 30
	dir, api := simulated(t, "", sendsAndForgets)
	var mu sync.Mutex
	acknowledged := map[string]string{} // runs, by their keys
	for life := range lives {
		d, client := spawn(t, dir)
		var all sync.WaitGroup
		for n := range starts {
			all.Go(func() {
				key := fmt.Sprintf("%d/%d", life-n%2, n) // half of them repeat what the last life may have taken
				phone := fmt.Sprintf("+336%08d", 10_000_000+n)
				started, err := client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": phone}}, server.StartOption{Key: key})
				if err != nil {
					return // it was killed: nobody knows whether it was taken
				}
				mu.Lock()
				defer mu.Unlock()
				if before, ok := acknowledged[key]; ok {
					assert.Equal(t, before, started.RunID, "the key %s has one run", key)
				}
				acknowledged[key] = started.RunID
			})
		}
		<-time.After(time.Duration(rand.IntN(60)) * time.Millisecond)
		require.NoError(t, d.Process.Kill())
		_ = d.Wait() // it was killed
		all.Wait()
	}

	d, client := spawn(t, dir)
	defer d.Process.Kill()
	var sent, unknown, lost int
	for key, run := range acknowledged {
		r, err := client.Run(t.Context(), run, 30*time.Second)
		if !assert.NoError(t, err, "the run of %s was acknowledged", key) {
			lost++
			continue
		}
		switch {
		case r.Status == machine.Succeeded:
			sent++
		case r.Status == machine.Failed && r.Unknown == 1:
			unknown++
		default:
			lost++
			t.Errorf("the run %s is %s", run, r.Status)
		}
	}
	counts := api.Counts()
	t.Logf("kills: %d, acknowledged: %d, accepted by the server: %d, sent by the journal: %d, unknown: %d, lost: %d, duplicated: %d",
		lives, len(acknowledged), counts.Accepted, sent, unknown, lost, counts.Repeated)
	assert.NotEmpty(t, acknowledged)
	assert.Zero(t, counts.Repeated)
	assert.GreaterOrEqual(t, counts.Accepted, sent)
	sentTo := map[string]int{}
	for _, m := range api.Accepted(simulator.Filter{}) {
		sentTo[m.Key]++
	}
	for key, run := range acknowledged {
		assert.LessOrEqual(t, sentTo["f1."+run+".1"]+sentTo["f1."+run+".2"], 1, "the run of %s", key)
	}
}
