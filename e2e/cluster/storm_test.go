package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e"
	"facteur/e2e/cluster"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// stormFlows cover the kinds of steps, with short time-outs.
func stormFlows() map[string]string {
	to := func(id, phone, more string) string {
		return fmt.Sprintf(`{id: %s, action: whatsapp.send_message, connection: shop, timeout: 3s, unknown_timeout: 3s, with: {recipient: "%s", sender_phone_id: "${inputs.sender}", message_type: text, message: {body: "%s"}}%s}`, id, phone, id, more)
	}
	own := "${inputs.phone}"
	retry := ", retry: {attempts: 4, delay: 30ms, max_delay: 300ms}"
	once := `{id: send, action: whatsapp.send_message, connection: shop, timeout: 3s, unknown_timeout: 3s, retry: {attempts: 3, delay: 100ms}, with: {recipient: "${inputs.phone}", sender_phone_id: "${inputs.sender}", message_type: text, message: {body: once}, once: {key: "${inputs.phone}", within: 24h}}}`
	flows := map[string]string{
		"plain":   `  - ` + to("send", own, ""),
		"each_of": `  - {id: each, foreach: "${['11', '12', '13', '14']}", as: n, concurrency: 2, allow_failure: true, steps: [` + to("send", "${inputs.phone.substring(0, 10) + n}", "") + `]}`,
		"await":   `  - ` + to("send", own, ", await: {state: delivered, timeout: 20s}"),
		"reply":   `  - ` + to("send", own, "") + "\n" + `  - {id: reply, wait_for: {event: whatsapp.message, from: "${inputs.phone}", timeout: 10s}, on_timeout: continue}` + "\n  - " + to("thanks", own, ""),
		"retry":   `  - ` + to("send", own, retry),
		"both":    `  - {id: both, parallel: {a: [` + to("one", own, "") + `], b: [{wait: 20ms}, ` + to("two", own, "") + `]}}`,
		"paused":  `  - wait: 1s` + "\n  - " + to("send", own, "") + "\n  - wait: 2s\n  - " + to("again", own, ""),
		"attend":  `  - {id: all, try: [` + to("send", own, "") + `], finally: [` + to("last", own, "") + `]}`,
		"once":    `  - ` + once,
	}
	for name, steps := range flows {
		flows[name] = fmt.Sprintf(head, name) + steps + "\n"
	}
	flows["locked"] = fmt.Sprintf(head, "locked\nconcurrency: {key: \"${inputs.sender}\", limit: 1}") + "  - " + to("send", own, "") + "\n"
	return flows
}

// Daemons are killed, stopped and restarted at random while clients start runs, operators
// interfere, answers are lost and webhooks arrive late, twice or out of order. No run is lost,
// nothing is sent twice, and every run ends.
func TestStorm(t *testing.T) {
	length := e2e.StormDuration(t, 25*time.Second)
	l := newClient(t, cluster.Start(t, 3, stormFlows()))
	for _, f := range []simulator.Fault{
		{Do: simulator.Drop, Odds: 0.04}, {Do: simulator.Status, Odds: 0.02}, {Do: simulator.Status, Odds: 0.02, Accepted: true},
		{Do: simulator.Reset, Odds: 0.02}, {Do: simulator.Reset, Odds: 0.02, Accepted: true}, {Do: simulator.Truncate, Odds: 0.02},
		{Do: simulator.Error, Odds: 0.03, Code: 131000}, {Do: simulator.Error, Odds: 0.02, Code: 130429}, {Do: simulator.Error, Odds: 0.02, Code: 131026},
		{Do: simulator.Fail, Odds: 0.03, Code: 131026}, {Do: simulator.Silent, Odds: 0.02}, {Do: simulator.Reorder, Odds: 0.05},
		{Do: simulator.Duplicate, Odds: 0.05}, {Do: simulator.Late, Odds: 0.05, Delay: simulator.Duration(2 * time.Second)},
		{Do: simulator.Delay, Odds: 0.5, Delay: simulator.Duration(300 * time.Millisecond)},
	} {
		require.NoError(t, l.API.AddFault(f))
	}
	over := make(chan struct{})
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() { l.customer(n, over) })
	}
	all.Go(func() { l.operator(over) })
	kills, stops := 0, 0
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(time.Duration(500+rand.IntN(2500)) * time.Millisecond)
		d := l.Daemons[rand.IntN(len(l.Daemons))]
		if rand.IntN(4) == 0 {
			d.Stop()
			stops++
		} else {
			d.Kill()
			kills++
		}
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		d.Start()
	}
	close(over)
	all.Wait()
	l.API.ClearFaults()
	l.Webhooks.Hold(false)
	_ = l.retry(func(ctx context.Context, d *server.Client) error {
		return d.Resume(ctx, server.ResumeRequest{Scope: "connection", Name: "shop"})
	})
	runs := l.waitDetails(4 * time.Minute)
	t.Logf("killed %d times, stopped %d times, webhooks %d: %v", kills, stops, l.Webhooks.Delivered(), l.count(runs))
}

// customer starts random runs until the storm is over.
func (l *client) customer(n int, over <-chan struct{}) {
	random := rand.New(rand.NewPCG(uint64(n), 7))
	flows := []string{"plain", "each_of", "await", "reply", "retry", "both", "paused", "attend", "once", "locked"}
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		case <-time.After(time.Duration(random.IntN(200)) * time.Millisecond):
		}
		flow := flows[random.IntN(len(flows))]
		phone := fmt.Sprintf("+336%02d%06d", n+10, i)
		if flow == "once" {
			phone = fmt.Sprintf("+33699%06d", i/3) // shared by all customers
		}
		sender := fmt.Sprintf("1065403522429%02d", random.IntN(10))
		for range 1 + random.IntN(8)/7 { // some requests are repeated
			if _, ok := l.start(flow, fmt.Sprintf("%s %d %d", flow, n, i), map[string]any{"phone": phone, "sender": sender}); !ok {
				return
			}
		}
		if flow == "reply" && random.IntN(2) == 0 {
			time.AfterFunc(time.Duration(random.IntN(4000))*time.Millisecond, func() {
				_, _ = l.API.Send(simulator.Inbound{From: phone, To: sender, Text: "oui"})
			})
		}
	}
}

// operator cancels, retries and resends random runs, pauses the connection and holds webhooks,
// until the storm is over.
func (l *client) operator(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Duration(rand.IntN(300)) * time.Millisecond):
		}
		run := l.anyRun()
		d := l.Daemons[rand.IntN(len(l.Daemons))].Client()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		switch rand.IntN(9) {
		case 0:
			_ = d.Cancel(ctx, run, server.CancelRequest{Reason: "storm"})
		case 1, 2, 3:
			_ = d.Retry(ctx, run, server.RetryRequest{})
		case 4:
			l.mu.Lock()
			l.resent[run] = true
			l.mu.Unlock()
			_ = d.Retry(ctx, run, server.RetryRequest{Resend: true})
		case 5:
			if d.Pause(ctx, server.PauseRequest{Scope: "connection", Name: "shop", Reason: "storm"}) == nil {
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
			}
			_ = l.retry(func(ctx context.Context, d *server.Client) error {
				return d.Resume(ctx, server.ResumeRequest{Scope: "connection", Name: "shop"})
			})
		case 6:
			l.Webhooks.Hold(true)
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
			l.Webhooks.Hold(false)
		default:
			_, _ = d.Run(ctx, run, 0)
		}
		cancel()
	}
}

// anyRun returns the id of a random acknowledged run.
func (l *client) anyRun() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, run := range l.started {
		return run
	}
	return "none"
}
