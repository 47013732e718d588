package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A flood of webhooks, each repeated, delays no answer for long, and none is lost.
func TestWebhookFlood(t *testing.T) {
	s := newFaultTest(t, "storm_plain", "storm_retry")
	write(t, filepath.Join(s.dir, "inbound.flow.yaml"), "flow: inbound\ntriggers:\n  - whatsapp_message: {when: event.text == \"flood\"}\nsteps:\n  - set: {done: true}\n")
	s.startDaemon()
	s.subscribe()
	stop := s.startLoad(2, "storm_plain", "storm_retry")
	const bodies, each, times = 300, 10, 3
	r := &testDaemon{t: t, url: s.url}
	var all sync.WaitGroup
	todo := make(chan int)
	for range 32 {
		all.Go(func() {
			for n := range todo {
				messages := make([]string, each)
				for i := range messages {
					messages[i] = fmt.Sprintf(`{"from":"336%08d","id":"wamid.flood%d.%d","timestamp":"%d","type":"text","text":{"body":"flood"}}`, n%bodies, n%bodies, i, time.Now().Unix())
				}
				body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"106540352242922"},"messages":[%s]}}]}]}`, strings.Join(messages, ","))
				code, err := r.tryAs(simulator.DefaultAppSecret, body)
				assert.NoError(t, err)
				assert.Equal(t, http.StatusOK, code)
			}
		})
	}
	for n := range bodies * times {
		todo <- n
	}
	close(todo)
	all.Wait()
	stop()
	started := 0
	require.Eventually(t, func() bool {
		started = 0
		for _, one := range s.list() {
			if one.Flow == "inbound" && one.Status == machine.Succeeded {
				started++
			}
		}
		return started >= bodies*each
	}, 30*time.Second, 50*time.Millisecond)
	assert.Equal(t, bodies*each, started, "each message starts one run")
	s.check()
	assert.Zero(t, s.counts["lost"]+s.counts["duplicated"])
}

// A slow client does not delay others: reading its body times out.
func TestSlowClients(t *testing.T) {
	s := newFaultTest(t, "storm_plain")
	s.startDaemon()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 200 {
		go func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/flows/storm_plain/runs", drippingReader{ctx})
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/json")
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	for n := range 20 {
		began, err := s.client.Start(t.Context(), "storm_plain", server.StartRequest{Inputs: map[string]any{"phone": grace, "sender": "1065403522429" + string(rune('a'+n)), "order": "7"}}, server.StartOption{})
		require.NoError(t, err)
		assert.NotEmpty(t, began.RunID)
	}
}

// A drippingReader yields one byte a second.
type drippingReader struct{ ctx context.Context }

func (d drippingReader) Read(p []byte) (int, error) {
	if !host.Sleep(d.ctx, time.Second) {
		return 0, d.ctx.Err()
	}
	p[0] = ' '
	return 1, nil
}

// A daemon that is killed repeatedly starts exactly one run for each inbound message, which is
// repeated until it is acknowledged.
func TestKilledTriggers(t *testing.T) {
	s := newFaultTest(t)
	write(t, filepath.Join(s.dir, "inbound.flow.yaml"), `
flow: inbound
inputs: {phone: {type: string}, order: {type: string}}
triggers:
  - whatsapp_message: {when: 'event.text.startsWith("order ")', inputs: {phone: "${event.from}", order: "${event.text}"}}
steps:
  - id: send
    action: whatsapp.send_message
    connection: shop
    unknown_timeout: 1s
    with: {recipient: "${inputs.phone}", message_type: text, message: {body: "${inputs.order}"}}
`)
	s.startDaemon("--show-phone-numbers")
	s.subscribe()
	const messages = 400
	var next atomic.Int64
	var all sync.WaitGroup
	r := &testDaemon{t: t, url: s.url}
	for range 4 {
		all.Go(func() {
			for n := next.Add(1); n <= messages; n = next.Add(1) {
				body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"106540352242922"},`+
					`"messages":[{"from":"336%08d","id":"wamid.order%d","timestamp":"%d","type":"text","text":{"body":"order %d"}}]}}]}]}`, n, n, time.Now().Unix(), n)
				for code, err := r.tryAs(simulator.DefaultAppSecret, body); err != nil || code != http.StatusOK; code, err = r.tryAs(simulator.DefaultAppSecret, body) {
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	killed := 0
	for ; next.Load() < messages || killed < 5; killed++ {
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		s.kill(os.Kill)
		s.startDaemon("--show-phone-numbers")
	}
	all.Wait()
	runs := map[string]int{}
	require.Eventually(t, func() bool {
		clear(runs)
		for _, one := range s.list() {
			if one.EndedAt.IsZero() {
				return false
			}
			d, err := s.client.Run(t.Context(), one.RunID, 0)
			require.NoError(t, err)
			runs[fmt.Sprint(d.Inputs["order"])]++
		}
		return len(runs) >= messages
	}, 30*time.Second, 300*time.Millisecond)
	twice := 0
	for order, n := range runs {
		assert.Equal(t, 1, n, order)
	}
	for key, n := range s.api.Keys("f1.") {
		if n > 1 {
			twice++
			t.Errorf("the key %s was accepted %d times", key, n)
		}
	}
	sent := map[string]int{}
	for _, m := range s.api.Accepted(simulator.Filter{}) {
		sent[m.Person]++
	}
	for to, n := range sent {
		assert.Equal(t, 1, n, to)
	}
	t.Logf("killed: %d, messages: %d, runs: %d, people that got an answer: %d, duplicated: %d", killed, messages, len(runs), len(sent), twice)
}
