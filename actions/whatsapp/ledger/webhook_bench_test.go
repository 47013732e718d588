package ledger_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"
	"facteur/vault"

	"github.com/stretchr/testify/require"
)

// statusBody is a webhook as Meta sends it for one state of one message.
func statusBody(n int) string {
	status := [...]string{"sent", "delivered", "read"}[n%3]
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},`+
		`"statuses":[{"id":"wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d","status":"%s","timestamp":"1750263773","recipient_id":"336%08d","biz_opaque_callback_data":"f1.k3f9q2m7x4c8v1b6n5z0a2s4d6.%d",`+
		`"conversation":{"id":"6ceb9d929c9bdc4f90e967a32f8639b4","expiration_timestamp":"1750350173","origin":{"type":"utility"}},"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"utility"}}]},"field":"messages"}]}]}`,
		n/3, status, n/3%10_000, n/3)
}

// callback is a server that Meta calls, over a ledger in a file.
func callback(b *testing.B) (post func(body string) time.Duration) {
	const secret = "app-secret-of-the-shop"
	l := openSQLite(b, filepath.Join(b.TempDir(), "ledger.db"), nil)
	shop := vault.Connection{Name: "shop", App: vault.WhatsApp, Secrets: map[string]vault.Secret{"app_secret": vault.NewSecret(secret)}}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(inbound.Options{
		Resolve: func(context.Context, string) (vault.Connection, error) { return shop, nil },
		Apply: func(ctx context.Context, _ string, told []inbound.Notification) error {
			_, err := l.Apply(ctx, told...)
			return err
		},
	}))
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	return func(body string) time.Duration {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		req, err := http.NewRequest(http.MethodPost, server.URL+"/webhooks/whatsapp/shop", strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return 0
		}
		req.Header.Set(inbound.SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
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
}

// BenchmarkWebhooks posts webhooks, each stored and on disk before it is answered, as fast
// as so many callers can.
func BenchmarkWebhooks(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			post := callback(b)
			concurrently(b, callers, func(n int) error { post(statusBody(n)); return nil })
		})
	}
}

// BenchmarkWebhooksAt500 posts 500 webhooks a second, whether the ones before are answered
// or not, and tells how long the answers take.
func BenchmarkWebhooksAt500(b *testing.B) {
	post := callback(b)
	took := make([]time.Duration, b.N)
	tick := time.NewTicker(time.Second / 500)
	defer tick.Stop()
	var all sync.WaitGroup
	b.ResetTimer()
	for n := range b.N {
		<-tick.C
		all.Go(func() { took[n] = post(statusBody(n)) })
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	require.NotZero(b, took[0])
	at := func(part float64) float64 { return took[int(part*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.5), "ms/median")
	b.ReportMetric(at(0.99), "ms/p99")
	b.ReportMetric(at(1), "ms/slowest")
}
