package vault_test

import (
	"fmt"
	"testing"
	"time"

	"facteur/e2e"
	"facteur/e2e/storm"
	server "facteur/e2e/vault"
	daemon "facteur/server"

	"github.com/stretchr/testify/require"
)

// TestDaemon rotates the token of a connection under a running daemon, which logs in by AppRole
// and may read only this path: the next send uses the new token at its first attempt. While the
// vault is sealed, runs wait.
func TestDaemon(t *testing.T) {
	t.Parallel()
	s := server.Start(t)
	g := storm.NewGraph(t, "EAAG1", nil)
	rotate := func(to string) {
		s.Put(t, server.KV2, "messaging/shop", map[string]any{"token": to, "app_secret": "secret-of-the-app", "verify_token": "to-be-verified"})
		g.Token.Store(to)
		g.Refused.Store(0)
	}
	rotate("EAAG1")
	dir := t.TempDir()
	e2e.WriteFile(t, dir, "role", s.Role(t, "facteur", map[string]any{"token_policies": policy(t, s, "facteur")}))
	e2e.WriteFile(t, dir, "secret", s.SecretID(t, "facteur", nil))
	e2e.WriteFile(t, dir, "facteur.yaml", fmt.Sprintf(`
vault:
  hashicorp:
    address: %q
    auth: {approle: {role_id_file: role, secret_id_file: secret}}
connections:
  shop:
    app: WHATSAPP
    vault: {mount: kv, path: messaging/shop}
    sender_phone_id: "106540352242922"
    base_url: %q
`, s.Address, g.URL))
	e2e.WriteFile(t, dir, "hello.flow.yaml", `
flow: hello
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "+33612345678", message_type: text, message: {body: Bonjour}}
`)
	process := e2e.Start(t, e2e.Command(t, dir, nil, "serve", "--listen", "127.0.0.1:0"))
	client := &daemon.Client{URL: process.Ready(t)}
	start := func(wait time.Duration) *daemon.Started {
		started, err := client.Start(t.Context(), "hello", daemon.StartRequest{Inputs: map[string]any{}}, daemon.StartOption{Wait: wait})
		require.NoError(t, err)
		return started
	}
	succeeds := func(run string) {
		detail, err := client.Run(t.Context(), run, time.Minute)
		require.NoError(t, err)
		require.EqualValues(t, "succeeded", detail.Status)
		require.Equal(t, 1, detail.Steps[0].Attempts)
	}

	succeeds(start(time.Minute).RunID)
	rotate("EAAG2")
	succeeds(start(time.Minute).RunID)
	require.EqualValues(t, 1, g.Refused.Load(), "it found out by a refusal, and asked the vault")
	succeeds(start(time.Minute).RunID)
	require.EqualValues(t, 1, g.Refused.Load())

	rotate("EAAG3")
	s.Seal(t)
	waiting := start(0)
	require.Eventually(t, func() bool { return g.Refused.Load() > 0 }, time.Minute, 5*time.Millisecond)
	detail, err := client.Run(t.Context(), waiting.RunID, 0)
	require.NoError(t, err)
	require.EqualValues(t, "running", detail.Status)
	s.Unseal(t)
	succeeds(waiting.RunID)
}
