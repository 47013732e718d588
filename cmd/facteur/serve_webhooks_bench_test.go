package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/host"

	"github.com/stretchr/testify/require"
)

// benchSecret signs the webhooks of the benchmarks.
const benchSecret = simulator.DefaultAppSecret

// BenchmarkWebhooksOfADaemon posts 500 webhooks a second to a daemon, whether the ones
// before are answered or not, and tells how long the answers take: to a daemon that does
// nothing else, and to one that makes 200 runs a second meanwhile. What each tells is on
// the disk then, in the ledger and in the journal.
func BenchmarkWebhooksOfADaemon(b *testing.B) {
	api, err := simulator.New(simulator.Options{Seed: 7, Scene: simulator.Scene{Statuses: simulator.Statuses{Sent: -1, Delivered: -1}}})
	require.NoError(b, err)
	defer api.Close()
	graph := httptest.NewServer(api)
	defer graph.Close()
	d, url := benchDaemon(b, graph.URL)
	status := func(n int) string {
		return fmt.Sprintf(`{"id":"wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%09d","status":"%s","timestamp":"1750263773","recipient_id":"336%08d","biz_opaque_callback_data":"f1.k3f9q2m7x4c8v1b6n5z0a2s4d6.%d",`+
			`"conversation":{"id":"6ceb9d929c9bdc4f90e967a32f8639b4","expiration_timestamp":"1750350173","origin":{"type":"utility"}},"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"utility"}}`,
			n/3, [...]string{"sent", "delivered", "read"}[n%3], n/3%10_000, n/3)
	}
	message := func(n int) string {
		return fmt.Sprintf(`{"from":"336%08d","id":"wamid.in%09d","timestamp":"1750263773","type":"text","text":{"body":"oui"}}`, n%10_000_000, n)
	}
	n := 0
	for _, c := range []struct {
		list string
		one  func(int) string
		runs int // a second
	}{{"statuses", status, 0}, {"messages", message, 0}, {"statuses", status, 200}} {
		for _, many := range []int{1, 10, 50} {
			name := fmt.Sprintf("%s=%d", c.list, many)
			if c.runs > 0 {
				name = fmt.Sprintf("runs=%d/%s", c.runs, name)
			}
			b.Run(name, func(b *testing.B) {
				bodies := make([]string, b.N)
				for i := range bodies {
					parts := make([]string, many)
					for j := range parts {
						n++
						parts[j] = c.one(n)
					}
					bodies[i] = fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"%s":[%s]},"field":"messages"}]}]}`,
						c.list, strings.Join(parts, ","))
				}
				beside := runsBeside(b, d, c.runs)
				b.ResetTimer()
				took := postSteadily(b, url+daemon.WebhookPath("shop"), bodies)
				b.StopTimer()
				beside()
				slices.Sort(took)
				at := func(part float64) float64 { return took[int(part*float64(len(took)-1))].Seconds() * 1000 }
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bodies/s")
				b.ReportMetric(at(0.5), "ms/median")
				b.ReportMetric(at(0.99), "ms/p99")
				b.ReportMetric(at(1), "ms/slowest")
			})
		}
	}
}

// postSteadily posts 500 webhooks a second, and returns how long each answer took.
func postSteadily(b *testing.B, url string, bodies []string) []time.Duration {
	transport := &http.Transport{MaxIdleConnsPerHost: 1024}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	took := make([]time.Duration, len(bodies))
	tick := time.NewTicker(time.Second / 500)
	defer tick.Stop()
	var all sync.WaitGroup
	for i, body := range bodies {
		<-tick.C
		all.Go(func() {
			mac := hmac.New(sha256.New, []byte(benchSecret))
			mac.Write([]byte(body))
			req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set(inbound.SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
			began := time.Now()
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			resp.Body.Close()
			if took[i] = time.Since(began); resp.StatusCode != http.StatusOK {
				b.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	return took
}

// runsBeside starts so many runs a second until the function that it returns is called,
// which waits for them.
func runsBeside(b *testing.B, d *daemon.Daemon, each int) (end func()) {
	if each == 0 {
		return func() {}
	}
	ended := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(each))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			all.Go(func() {
				in := map[string]any{"sender": senderOf(n), "phone": phoneOf(n), "name": fmt.Sprint(n)}
				run, _, err := d.Host().Start(b.Context(), d.Flows().Plan("note"), host.Start{Inputs: in})
				if err == nil {
					_, err = d.Host().Wait(b.Context(), run.ID)
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
	})
	return func() { close(ended); all.Wait() }
}
