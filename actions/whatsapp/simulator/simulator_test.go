package simulator_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/simulator"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const phoneID = "106540352242922"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// a stage is a simulator behind HTTP, and a client of it.
type stage struct {
	*simulator.Simulator
	url string
	set *actions.Set
	t   testing.TB
}

func newStage(t testing.TB, o simulator.Options) *stage {
	sim, err := simulator.New(o)
	require.NoError(t, err)
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		server.Close()
	})
	set, err := actions.NewSet(connections{server.URL}, whatsapp.SendMessage(whatsapp.Options{}), whatsapp.MarkRead(whatsapp.Options{}))
	require.NoError(t, err)
	return &stage{sim, server.URL, set, t}
}

type connections struct{ url string }

func (c connections) Resolve(context.Context, string) (vault.Connection, error) {
	return vault.Connection{Name: "shop", App: vault.WhatsApp, Setup: map[string]string{"base_url": c.url, "waba_id": "102290129340398", "sender_phone_id": phoneID},
		Secrets: map[string]vault.Secret{"token": vault.NewSecret("token-1")}}, nil
}

func (c connections) Refresh(ctx context.Context, name string) (vault.Connection, bool, error) {
	conn, err := c.Resolve(ctx, name)
	return conn, false, err
}

// send sends a message with the action, as a flow does.
func (s *stage) send(key, to, kind string, message any) call.Outcome {
	sig := s.set.Action("whatsapp.send_message")
	in, found := sig.In.Coerce(map[string]any{"recipient": to, "message_type": kind, "message": message, "sender_phone_id": phoneID})
	require.NoError(s.t, found.Err())
	return s.set.Do(context.Background(), call.Call{Key: key, Action: "whatsapp.send_message", Connection: "shop", Input: in.(map[string]any), Attempt: 1})
}

// post posts a body as another client would.
func (s *stage) post(path, body string) (int, string) {
	return s.do("POST", path, "application/json", body)
}

func (s *stage) do(method, path, kind, body string) (int, string) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer token-1")
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(text)
}

// a receiver is where webhooks go.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	found  []inbound.Notification
	bodies []string
	answer func(n int) int // the status of the n-th delivery
	bad    []error
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			challenge, err := inbound.VerifySubscription(req.URL.Query(), vault.NewSecret("verify-1"))
			if err != nil {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			_, _ = io.WriteString(w, challenge)
			return
		}
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies = append(r.bodies, string(body))
		if err := inbound.VerifySignature(body, req.Header.Get(inbound.SignatureHeader), vault.NewSecret(simulator.DefaultAppSecret)); err != nil {
			r.bad = append(r.bad, err)
		}
		if r.answer != nil {
			if status := r.answer(len(r.bodies)); status != http.StatusOK {
				w.WriteHeader(status)
				return
			}
		}
		found, err := inbound.Parse(body)
		if err != nil {
			r.bad = append(r.bad, err)
		}
		r.found = append(r.found, found...)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) told(t testing.TB) []inbound.Notification {
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Empty(t, r.bad)
	return append([]inbound.Notification(nil), r.found...)
}

func (s *stage) idle() {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	require.NoError(s.t, s.Idle(ctx))
}

func statuses(found []inbound.Notification) (out []string) {
	for _, n := range found {
		if n.Kind == "status" {
			out = append(out, n.Status)
		} else {
			out = append(out, n.Kind+":"+n.Type)
		}
	}
	return out
}

func TestSendAndHear(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start), Scene: simulator.Scene{Webhook: simulator.Webhook{URL: hook.URL}}})
	o := s.send("f1.run.1", "+33612345678", "text", map[string]any{"body": "Déjà là 😀 / à bientôt"})
	require.Nil(t, o.Error)
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, "33612345678", o.Output["wa_id"])
	assert.Regexp(t, `^wamid\.[A-Za-z0-9+/]+=*$`, o.Output["message_id"])
	assert.Empty(t, hook.told(t), "nothing is said before its time")

	s.Advance(time.Second)
	s.idle()
	found := hook.told(t)
	require.Equal(t, []string{"sent", "delivered"}, statuses(found))
	r, ok := found[0].Receipt()
	require.True(t, ok)
	assert.Equal(t, "f1.run.1", r.Key)
	assert.Equal(t, o.Output["message_id"], found[0].MessageID)
	assert.Equal(t, phoneID, found[0].PhoneNumberID)

	_, err := s.Send(simulator.Inbound{From: "+33 6 12 34 56 78", Name: "Ada", Text: "merci, à demain"})
	require.NoError(t, err)
	s.idle()
	found = hook.told(t)
	assert.Equal(t, "merci, à demain", found[2].Text)
	assert.Equal(t, "Ada", found[2].ProfileName)
	assert.Contains(t, hook.bodies[2], `merci, \u00e0 demain`)

	accepted := s.Accepted(simulator.Filter{})
	require.Len(t, accepted, 1)
	assert.Equal(t, "delivered", accepted[0].State)
	assert.Equal(t, map[string]int{"f1.run.1": 1}, s.Keys("f1."))
}
