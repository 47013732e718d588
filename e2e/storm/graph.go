// Package storm is what tests have in common that kill daemons while customers start runs: the API
// that counts messages, and the customers.
package storm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// AppSecret signs the webhooks of a Graph.
const AppSecret = "secret-of-the-app"

// A Graph is a minimal Cloud API that counts messages. It accepts every message with its
// token, loses some of the answers, and posts a delivered status for each message until a
// daemon answers with 200.
type Graph struct {
	*httptest.Server
	Token      atomic.Value  // a string; any other token is refused with 190
	LossRate   float64       // the fraction of answers that are lost after the message was accepted
	WebhookURL func() string // the URL of the next webhook; nil: none are posted
	Refused    atomic.Int64  // requests with another token

	done    chan struct{}
	pending atomic.Int64
	lost    atomic.Int64

	mu          sync.Mutex
	accepted    map[string]int // by the call's key
	byRecipient map[string]int
}

// NewGraph starts a Graph that ends with the test.
func NewGraph(t testing.TB, token string, hooks func() string) *Graph {
	g := &Graph{WebhookURL: hooks, done: make(chan struct{}), accepted: map[string]int{}, byRecipient: map[string]int{}}
	g.Token.Store(token)
	g.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		close(g.done)
		g.Close()
	})
	return g
}

// ServeHTTP answers POST /messages.
func (g *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		To  string `json:"to"`
		Key string `json:"biz_opaque_callback_data"`
	}
	_ = json.NewDecoder(r.Body).Decode(&m)
	switch {
	case r.Header.Get("Authorization") != fmt.Sprint("Bearer ", g.Token.Load()):
		g.Refused.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": {"message": "Error validating access token", "type": "OAuthException", "code": 190, "fbtrace_id": "A"}}`)
		return
	case m.Key == "": // not a message: the daemon queries the phone number
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.accepted[m.Key]++
	g.byRecipient[m.To]++
	id := fmt.Sprintf("wamid.%d", len(g.accepted))
	g.mu.Unlock()
	person := strings.TrimPrefix(m.To, "+")
	if g.WebhookURL != nil {
		g.pending.Add(1)
		go g.postStatus(id, person, m.Key)
	}
	if rand.Float64() < g.LossRate {
		g.lost.Add(1)
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, `{"messaging_product": "whatsapp", "contacts": [{"input": %q, "wa_id": %q}], "messages": [{"id": %q}]}`, m.To, person, id)
}

func (g *Graph) postStatus(id, person, key string) {
	defer g.pending.Add(-1)
	text := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"106540352242922"},`+
		`"statuses":[{"id":%q,"status":"delivered","timestamp":"%d","recipient_id":%q,"biz_opaque_callback_data":%q}]}}]}]}`, id, time.Now().Unix(), person, key)
	sum := hmac.New(sha256.New, []byte(AppSecret))
	sum.Write(text)
	signature := "sha256=" + hex.EncodeToString(sum.Sum(nil))
	for {
		req, err := http.NewRequest(http.MethodPost, g.WebhookURL(), bytes.NewReader(text))
		if err != nil {
			return
		}
		req.Header.Set("X-Hub-Signature-256", signature)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-g.done:
			return
		case <-time.After(time.Duration(20+rand.IntN(200)) * time.Millisecond):
		}
	}
}

// Accepted returns how many messages were accepted, by run and by recipient.
func (g *Graph) Accepted() (byRun, byRecipient map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	byRun = map[string]int{}
	for key, n := range g.accepted {
		byRun[call.RunOf(key)] += n
	}
	return byRun, maps.Clone(g.byRecipient)
}

// AwaitRuns waits until all runs of some daemons have ended, and every webhook was answered with
// 200, and returns the runs of each daemon.
func (g *Graph) AwaitRuns(t testing.TB, daemons ...*server.Client) (runs [][]server.Run) {
	t.Helper()
	require.Eventually(t, func() bool {
		runs = nil
		for _, d := range daemons {
			list, err := allRuns(d)
			if err != nil || slices.ContainsFunc(list, func(r server.Run) bool { return r.EndedAt.IsZero() }) {
				return false
			}
			runs = append(runs, list)
		}
		return g.pending.Load() == 0
	}, 3*time.Minute, 200*time.Millisecond, "every run ends")
	return runs
}

func allRuns(d *server.Client) (runs []server.Run, err error) {
	for q := (host.Filter{Limit: 1000}); ; {
		page, err := d.Runs(context.Background(), q)
		if err != nil {
			return nil, err
		}
		runs = append(runs, page.Runs...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return runs, nil
		}
	}
}

// String returns the counters.
func (g *Graph) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprintf("accepted: %d, answers lost: %d, refused: %d", len(g.accepted), g.lost.Load(), g.Refused.Load())
}
