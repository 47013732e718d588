package e2e

import (
	"bytes"
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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// AppSecret is what a Graph signs its webhooks with.
const AppSecret = "secret-of-the-app"

// A Graph stands in for the Cloud API where a test counts: it accepts every message that
// comes with its token, loses some of the answers, and tells of each message by webhook,
// again and again until that is taken.
type Graph struct {
	*httptest.Server
	Token atomic.Value  // a string; another is refused with 190
	Lost  float64       // the part of the answers that is lost after the message was accepted
	Hooks func() string // where the next webhook goes

	over    chan struct{}
	untold  atomic.Int64
	refused atomic.Int64
	lost    atomic.Int64

	mu       sync.Mutex
	accepted map[string]int // by the key of the call
	to       map[string]int
}

// NewGraph starts one that ends with the test.
func NewGraph(t testing.TB, token string, hooks func() string) *Graph {
	g := &Graph{Hooks: hooks, over: make(chan struct{}), accepted: map[string]int{}, to: map[string]int{}}
	g.Token.Store(token)
	g.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		close(g.over)
		g.Close()
	})
	return g
}

// ServeHTTP takes a message.
func (g *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		To  string `json:"to"`
		Key string `json:"biz_opaque_callback_data"`
	}
	_ = json.NewDecoder(r.Body).Decode(&m)
	switch {
	case r.Header.Get("Authorization") != fmt.Sprint("Bearer ", g.Token.Load()):
		g.refused.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": {"message": "Error validating access token", "type": "OAuthException", "code": 190, "fbtrace_id": "A"}}`)
		return
	case m.Key == "": // the daemon looks after the number, not after a message
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.accepted[m.Key]++
	g.to[m.To]++
	id := fmt.Sprintf("wamid.%d", len(g.accepted))
	g.mu.Unlock()
	person := strings.TrimPrefix(m.To, "+")
	g.untold.Add(1)
	go g.tell(id, person, m.Key)
	if rand.Float64() < g.Lost {
		g.lost.Add(1)
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, `{"messaging_product": "whatsapp", "contacts": [{"input": %q, "wa_id": %q}], "messages": [{"id": %q}]}`, m.To, person, id)
}

func (g *Graph) tell(id, person, key string) {
	defer g.untold.Add(-1)
	text := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"106540352242922"},`+
		`"statuses":[{"id":%q,"status":"delivered","timestamp":"%d","recipient_id":%q,"biz_opaque_callback_data":%q}]}}]}]}`, id, time.Now().Unix(), person, key)
	sum := hmac.New(sha256.New, []byte(AppSecret))
	sum.Write(text)
	signature := "sha256=" + hex.EncodeToString(sum.Sum(nil))
	for {
		req, err := http.NewRequest(http.MethodPost, g.Hooks(), bytes.NewReader(text))
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
		case <-g.over:
			return
		case <-time.After(time.Duration(20+rand.IntN(200)) * time.Millisecond):
		}
	}
}

// Accepted is how often messages were accepted: by the key of the call, and by recipient.
func (g *Graph) Accepted() (byKey, byRecipient map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.accepted), maps.Clone(g.to)
}

// Quiet tells whether every webhook was taken.
func (g *Graph) Quiet() bool { return g.untold.Load() == 0 }

// String is what it counted.
func (g *Graph) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprintf("accepted: %d, answers lost: %d, refused: %d", len(g.accepted), g.lost.Load(), g.refused.Load())
}
