package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A business has messages whose webhooks come to it in any order, several times.
type business struct {
	mu       sync.Mutex
	ledger   ledger.Ledger
	receipts map[string]bool // by id
	events   map[string]int  // how often each came that was not known
}

// handler takes webhooks as a daemon does, without the signature.
func (b *business) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(inbound.Options{
		Insecure: true,
		Resolve: func(_ context.Context, name string) (vault.Connection, error) {
			return vault.Connection{Name: name, App: vault.WhatsApp}, nil
		},
		Apply: func(ctx context.Context, _ string, told []inbound.Notification) error {
			updates, err := b.ledger.Apply(ctx, told...)
			if err != nil {
				return err
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			receipts, events := ledger.Deliveries(updates, time.Now())
			for _, r := range receipts {
				b.receipts[r.ID] = true
			}
			for _, e := range events {
				for _, n := range updates {
					if n.MessageID == e.ID && !n.Known {
						b.events[e.ID]++
					}
				}
			}
			return nil
		},
	}))
	return mux
}

// replyBody is a webhook of a message that somebody wrote some hours ago.
func replyBody(n, hours int) string {
	at := time.Now().Add(-time.Duration(hours) * time.Hour).Unix()
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"106540352242922"},`+
		`"contacts":[{"profile":{"name":"Ada"},"wa_id":"336%08d"}],"messages":[{"from":"336%08d","id":"wamid.in.%d","timestamp":"%d","type":"text","text":{"body":"oui"}}]}}]}]}`, n, n, n, at)
}

// TestWebhooksInAnyOrder posts what 100 messages and their answers cause, each webhook up
// to three times, in a random order, at the same time, some of them hours late.
func TestWebhooksInAnyOrder(t *testing.T) {
	const messages = 100
	b := &business{ledger: openSQLite(t, filepath.Join(t.TempDir(), "ledger.db"), nil), receipts: map[string]bool{}, events: map[string]int{}}
	h := b.handler()
	var bodies []string
	for n := range 3 * messages {
		for range 1 + rand.IntN(3) {
			bodies = append(bodies, statusBody(n))
		}
	}
	for n := range messages {
		for range 1 + rand.IntN(3) {
			bodies = append(bodies, replyBody(n, n%30))
		}
	}
	rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	queue := make(chan string)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for body := range queue {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhooks/whatsapp/shop", strings.NewReader(body)))
				assert.Equal(t, http.StatusOK, w.Code)
			}
		})
	}
	for _, body := range bodies {
		queue <- body
	}
	close(queue)
	all.Wait()

	require.Len(t, b.receipts, 3*messages)
	require.Len(t, b.events, messages)
	for n := range messages {
		require.Equal(t, 1, b.events[fmt.Sprint("wamid.in.", n)], "it is new once")
		m, ok, err := b.ledger.Message(t.Context(), fmt.Sprintf("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI%08d", n))
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, "read", m.State)
		require.Len(t, m.Statuses, 3)
		w, err := b.ledger.Window(t.Context(), "106540352242922", fmt.Sprintf("336%08d", n))
		require.NoError(t, err)
		require.Equal(t, n%30 < 24, w.State == whatsapp.WindowOpen, "it counts from when they wrote, %d hours ago", n%30)
	}
}

// TestWebhooksWhileTheDiskIsFull: what could not be stored is not acknowledged, and is
// there once Meta has repeated it.
func TestWebhooksWhileTheDiskIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	full := openSQLite(t, path, nil)
	require.NoError(t, full.Exec("PRAGMA max_page_count = 60"))
	b := &business{ledger: full, receipts: map[string]bool{}, events: map[string]int{}}
	h := b.handler()
	post := func(n int) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhooks/whatsapp/shop", strings.NewReader(statusBody(n))))
		return w.Code
	}
	const all = 1000
	acknowledged := map[int]bool{}
	for n := range all {
		code := post(n)
		require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, code)
		acknowledged[n] = code == http.StatusOK
	}
	require.True(t, acknowledged[0])
	require.False(t, acknowledged[all-1])
	require.Error(t, full.Close())

	b.ledger = openSQLite(t, path, nil)
	for n := range all {
		if !acknowledged[n] {
			require.Equal(t, http.StatusOK, post(n))
		}
	}
	require.Len(t, b.receipts, all)
	for n := 0; n < all-2; n += 3 {
		found, err := b.ledger.Receipts(t.Context(), time.Time{}, fmt.Sprintf("f1.k3f9q2m7x4c8v1b6n5z0a2s4d6.%d", n/3))
		require.NoError(t, err)
		require.Len(t, found, 3)
	}
}
