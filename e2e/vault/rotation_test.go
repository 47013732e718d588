package vault_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/e2e/storm"
	server "facteur/e2e/vault"
	"facteur/flow/call"
	"facteur/vault"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRotation rotates the token of a WhatsApp connection between sends: the first send that is
// refused succeeds within the same attempt.
func TestRotation(t *testing.T) {
	s := server.Start(t)
	g := storm.NewGraph(t, "EAAG0", nil)
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
		g.Token.Store(to)
	}
	accepted := func() int {
		_, byRecipient := g.Accepted()
		return byRecipient["+33612345678"]
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
	require.EqualValues(t, 1, g.Refused.Load())
	require.Equal(t, 2, accepted())

	rotate("EAAG3")
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() { assert.Equal(t, call.Succeeded, send().Status) })
	}
	all.Wait()
	require.Equal(t, 2+64, accepted(), "each once")

	g.Token.Store("EAAG4") // and nobody tells the vault
	o := send()
	require.Equal(t, call.Failed, o.Status)
	require.True(t, o.Refused, "the vault has no other token either")
	s.Seal(t)
	o = send()
	require.Equal(t, call.Failed, o.Status)
	require.Equal(t, 2+64, accepted())
	s.Unseal(t)
	rotate("EAAG4")
	require.Equal(t, call.Succeeded, send().Status)
}
