package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/project"

	"github.com/stretchr/testify/require"
)

// BenchmarkWebhooksOfADaemon posts 500 webhooks a second to a daemon, whether the ones
// before are answered or not, and tells how long the answers take. What each tells is on
// the disk then, in the ledger and in the journal.
func BenchmarkWebhooksOfADaemon(b *testing.B) {
	const secret = "app-secret"
	dir := b.TempDir()
	b.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", "token")
	b.Setenv("FACTEUR_CONNECTION_SHOP_APP_SECRET", secret)
	require.NoError(b, os.WriteFile(filepath.Join(dir, project.FileName), []byte("connections: {shop: {app: WHATSAPP, sender_phone_id: \"106540352242922\"}}\n"), 0o600))
	require.NoError(b, os.WriteFile(filepath.Join(dir, "hello.flow.yaml"), []byte(sendsHello), 0o600))
	p, _, err := project.Open(dir)
	require.NoError(b, err)
	config, err := serveFlags{Server: project.Server{Listen: "127.0.0.1:0"}}.settled(p)
	require.NoError(b, err)
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	d, err := a.openDaemon(b.Context(), b.Context(), p, config, slog.New(slog.DiscardHandler), false)
	require.NoError(b, err)
	defer d.close()
	defer func() { _ = d.stop(b.Context()) }()
	public, _ := d.handlers(b.Context())
	server := httptest.NewServer(public)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}
	post := func(b *testing.B, body string) time.Duration {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		req, err := http.NewRequest(http.MethodPost, server.URL+webhookPath("shop"), strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return 0
		}
		req.Header.Set(whatsapp.SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
		began := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return 0
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Errorf("status %d", resp.StatusCode)
		}
		return time.Since(began)
	}
	status := func(n int) string {
		return fmt.Sprintf(`{"id":"wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%09d","status":"%s","timestamp":"1750263773","recipient_id":"336%08d","biz_opaque_callback_data":"f1.k3f9q2m7x4c8v1b6n5z0a2s4d6.%d",`+
			`"conversation":{"id":"6ceb9d929c9bdc4f90e967a32f8639b4","expiration_timestamp":"1750350173","origin":{"type":"utility"}},"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"utility"}}`,
			n/3, [...]string{"sent", "delivered", "read"}[n%3], n/3%10_000, n/3)
	}
	message := func(n int) string {
		return fmt.Sprintf(`{"from":"336%08d","id":"wamid.in%09d","timestamp":"1750263773","type":"text","text":{"body":"oui"}}`, n%10_000_000, n)
	}
	n := 0
	for _, kind := range []struct {
		list string
		one  func(int) string
	}{{"statuses", status}, {"messages", message}} {
		for _, many := range []int{1, 10, 50} {
			b.Run(fmt.Sprintf("%s=%d", kind.list, many), func(b *testing.B) {
				bodies := make([]string, b.N)
				for i := range bodies {
					parts := make([]string, many)
					for j := range parts {
						n++
						parts[j] = kind.one(n)
					}
					bodies[i] = fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"%s":[%s]},"field":"messages"}]}]}`,
						kind.list, strings.Join(parts, ","))
				}
				took := make([]time.Duration, b.N)
				tick := time.NewTicker(time.Second / 500)
				defer tick.Stop()
				var all sync.WaitGroup
				b.ResetTimer()
				for i, body := range bodies {
					<-tick.C
					all.Go(func() { took[i] = post(b, body) })
				}
				all.Wait()
				b.StopTimer()
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
