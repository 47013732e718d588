package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	server "facteur/e2e/vault"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A graph accepts sends with one token.
type graph struct {
	*httptest.Server
	token             atomic.Value
	accepted, refused atomic.Int32
}

func newGraph(t *testing.T, token string) *graph {
	g := &graph{}
	g.token.Store(token)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprint("Bearer ", g.token.Load()) {
			g.refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error": {"message": "Error validating access token", "type": "OAuthException", "code": 190, "fbtrace_id": "A"}}`)
			return
		}
		n := g.accepted.Add(1)
		fmt.Fprintf(w, `{"messaging_product": "whatsapp", "contacts": [{"input": "+33612345678", "wa_id": "33612345678"}], "messages": [{"id": "wamid.%d"}]}`, n)
	}))
	t.Cleanup(g.Close)
	return g
}

// TestRotation rotates the token of a WhatsApp connection between sends: the first send that is
// refused succeeds within the same attempt.
func TestRotation(t *testing.T) {
	s := server.Start(t)
	g := newGraph(t, "EAAG0")
	token := s.Token(t, api.TokenCreateRequest{Policies: policy(t, s, "facteur")})
	v, err := vault.New(vault.Config{
		Hashicorp: &vault.Hashicorp{Address: s.Address, Token: vault.NewSecret(token)},
		Connections: map[string]vault.Mapping{"shop": {
			App: vault.WhatsApp, Mount: server.KV2, Path: "messaging/shop", Setup: map[string]string{"base_url": g.URL},
		}},
		Env:      func(string) (string, bool) { return "", false },
		CacheFor: time.Hour, // so that nothing but a refusal leads to the vault
	})
	require.NoError(t, err)
	t.Cleanup(func() { v.Close() })
	set, err := actions.NewSet(v, whatsapp.SendMessage(whatsapp.Options{}))
	require.NoError(t, err)
	rotate := func(to string) {
		s.Put(t, server.KV2, "messaging/shop", map[string]any{"token": to})
		g.token.Store(to)
		g.accepted.Store(0)
		g.refused.Store(0)
	}
	var sends atomic.Int32
	send := func() call.Outcome {
		return set.Do(t.Context(), call.Call{
			Key: fmt.Sprintf("f1.run.%d", sends.Add(1)), Run: "run", Step: "notify", Attempt: 1,
			Action: "whatsapp.send_message", Connection: "shop",
			Input: map[string]any{
				"sender_phone_id": "106540352242922", "recipient": "+33612345678",
				"message_type": "text", "message": map[string]any{"body": "Bonjour"},
			},
		})
	}

	rotate("EAAG1")
	require.Equal(t, call.Succeeded, send().Status)
	rotate("EAAG2")
	require.Equal(t, call.Succeeded, send().Status)
	require.Equal(t, []int32{1, 1}, []int32{g.refused.Load(), g.accepted.Load()})

	rotate("EAAG3")
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() { assert.Equal(t, call.Succeeded, send().Status) })
	}
	all.Wait()
	require.EqualValues(t, 64, g.accepted.Load(), "each once")

	g.token.Store("EAAG4") // and nobody tells the vault
	o := send()
	require.Equal(t, call.Failed, o.Status)
	require.True(t, o.Refused, "the vault has no other token either")
	s.Seal(t)
	o = send()
	require.Equal(t, call.Failed, o.Status)
	require.EqualValues(t, 64, g.accepted.Load())
	s.Unseal(t)
	rotate("EAAG4")
	require.Equal(t, call.Succeeded, send().Status)
}
