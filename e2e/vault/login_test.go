package vault_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/e2e"
	server "facteur/e2e/vault"
	"facteur/vault"
	"facteur/vault/vaulttest"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// open opens a vault that maps the connection shop to kv/messaging/shop, and stores a token
// there.
func open(t *testing.T, s *server.Server, h vault.Hashicorp) *vault.Vault {
	t.Helper()
	s.Put(t, server.KV2, "messaging/shop", map[string]any{"token": "EAAGone"})
	if h.Address == "" {
		h.Address = s.Address
	}
	v, err := vault.New(vault.Config{
		Hashicorp:   &h,
		Connections: map[string]vault.Mapping{"shop": {App: vault.WhatsApp, Mount: server.KV2, Path: "messaging/shop"}},
		Env:         func(string) (string, bool) { return "", false },
	})
	require.NoError(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

// policy writes the policy of a file beside the examples.
func policy(t *testing.T, s *server.Server, name string) []string {
	t.Helper()
	s.Policy(t, name, read(t, filepath.Join("../../examples/deploy/vault", name+".hcl")))
	return []string{name}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// TestReadmePolicy compares the policy in the README with the one that the tests use.
func TestReadmePolicy(t *testing.T) {
	_, block, ok := strings.Cut(read(t, "../../README.md"), "```hcl\n")
	require.True(t, ok, "the README shows a policy")
	block, _, _ = strings.Cut(block, "```")
	bare := func(hcl string) string {
		return strings.Join(strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(hcl, "")), " ")
	}
	require.Equal(t, bare(read(t, "../../examples/deploy/vault/facteur.hcl")), bare(block))
}

func refresh(v *vault.Vault) error {
	_, _, err := v.Refresh(context.Background(), "shop")
	return err
}

// TestPolicies: the policies beside the examples allow what they are for, and no more.
func TestPolicies(t *testing.T) {
	s := server.Start(t)
	s.Put(t, server.KV2, "messaging/other", map[string]any{"token": "EAAGother"})
	set := map[string]vault.Secret{"token": vault.NewSecret("EAAGtwo")}

	daemon := s.Token(t, api.TokenCreateRequest{Policies: policy(t, s, "facteur")})
	v := open(t, s, vault.Hashicorp{Token: vault.NewSecret(daemon)})
	s.ResetRequests()
	require.NoError(t, refresh(v))
	require.Equal(t, []string{"GET auth/token/lookup-self", "GET kv/data/messaging/shop"}, s.Requests(), "nothing else is asked")
	vaulttest.WantReason(t, v.Set(t.Context(), "shop", vault.WhatsApp, nil, set), vault.Denied)
	vaulttest.WantReason(t, v.Remove(t.Context(), "shop"), vault.Denied)
	c := s.Client(t)
	c.SetToken(daemon)
	for _, path := range []string{"kv/data/messaging/other", "kv/metadata/messaging/shop", "sys/mounts", "auth/token/accessors"} {
		_, err := c.Logical().Read(path)
		require.ErrorContains(t, err, "permission denied", path)
	}
	_, err := c.Logical().List("kv/metadata/messaging")
	require.ErrorContains(t, err, "permission denied")

	keeper := s.Token(t, api.TokenCreateRequest{Policies: policy(t, s, "facteur-keeper")})
	v = open(t, s, vault.Hashicorp{Token: vault.NewSecret(keeper)})
	require.NoError(t, v.Set(t.Context(), "shop", vault.WhatsApp, nil, set))
	require.Equal(t, map[string]any{"token": "EAAGtwo"}, s.Get(t, server.KV2, "messaging/shop"))
	require.NoError(t, v.Remove(t.Context(), "shop"))
	require.NoError(t, v.Set(t.Context(), "shop", vault.WhatsApp, nil, set))
}

// logins returns the login (l) and renewal (r) requests that the server received, in order.
func logins(s *server.Server) string {
	var b strings.Builder
	for _, asked := range s.Requests() {
		switch asked {
		case "PUT auth/approle/login":
			b.WriteByte('l')
		case "PUT auth/token/renew-self":
			b.WriteByte('r')
		}
	}
	return b.String()
}

// TestTokenRenewal lets short-lived tokens expire while a client reads all the time: no read
// fails.
func TestTokenRenewal(t *testing.T) {
	tests := []struct {
		name string
		role map[string]any
		want string // of logins
	}{
		{"renewed until it cannot be, then another", map[string]any{"token_ttl": "2s", "token_max_ttl": "5s"}, "lrrr?l"},
		{"batch tokens cannot be renewed", map[string]any{"token_ttl": "2s", "token_type": "batch"}, "lll"},
		{"so often and no more", map[string]any{"token_ttl": "1h", "token_num_uses": 3}, "lll"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := server.Start(t)
			tt.role["token_policies"] = policy(t, s, "facteur")
			roleID := s.Role(t, "facteur", tt.role)
			v := open(t, s, vault.Hashicorp{AppRole: &vault.AppRole{RoleID: roleID, SecretID: vault.NewSecret(s.SecretID(t, "facteur", nil))}})
			s.ResetRequests()
			require.Eventually(t, func() bool {
				require.NoError(t, refresh(v))
				got, want := logins(s), strings.Split(tt.want, "?")
				return strings.HasPrefix(got, want[0]) && strings.HasSuffix(got, want[len(want)-1])
			}, time.Minute, 20*time.Millisecond)
		})
	}
}

// TestTokenFile: a token from a file is renewed until it expires; then the file is read again.
func TestTokenFile(t *testing.T) {
	s := server.Start(t)
	path := filepath.Join(t.TempDir(), "token")
	write := func(ttl, most string) string {
		token := s.Token(t, api.TokenCreateRequest{Policies: policy(t, s, "facteur"), TTL: ttl, ExplicitMaxTTL: most})
		require.NoError(t, os.WriteFile(path, []byte(token+"\n"), 0o600))
		return token
	}
	first := write("2s", "4s")
	v := open(t, s, vault.Hashicorp{TokenFile: path})
	require.NoError(t, refresh(v))
	write("1h", "")
	c := s.Client(t)
	c.SetToken(first)
	require.Eventually(t, func() bool {
		require.NoError(t, refresh(v))
		_, err := c.Auth().Token().LookupSelf()
		return err != nil
	}, time.Minute, 50*time.Millisecond, "the first token ends")
	require.NoError(t, refresh(v))
	require.Contains(t, logins(s), "r")
}

// TestSecretIDs invalidates secret IDs: the next login reads the file again.
func TestSecretIDs(t *testing.T) {
	s := server.Start(t)
	path := filepath.Join(t.TempDir(), "secret-id")
	roleID := s.Role(t, "facteur", map[string]any{"token_policies": policy(t, s, "facteur")})
	write := func(parameters map[string]any) string {
		secretID := s.SecretID(t, "facteur", parameters)
		require.NoError(t, os.WriteFile(path, []byte(secretID), 0o600))
		return secretID
	}
	write(map[string]any{"num_uses": 1})
	v := open(t, s, vault.Hashicorp{AppRole: &vault.AppRole{RoleID: roleID, SecretIDFile: path}})
	require.NoError(t, refresh(v))
	s.Revoke(t)
	e := vaulttest.WantReason(t, refresh(v), vault.BadLogin)
	require.ErrorContains(t, e, "the AppRole was refused; check role_id, secret_id (it may have expired or be used up)")
	require.False(t, e.Temporary())

	second := write(nil)
	require.NoError(t, refresh(v), "rotated")
	s.DestroySecretID(t, "facteur", second)
	require.NoError(t, refresh(v), "the token goes on")
	s.Revoke(t)
	vaulttest.WantReason(t, refresh(v), vault.BadLogin)
	write(nil)
	require.NoError(t, refresh(v))

	bound := s.Role(t, "bound", map[string]any{"token_policies": "facteur", "secret_id_bound_cidrs": "192.0.2.0/24"})
	v = open(t, s, vault.Hashicorp{AppRole: &vault.AppRole{RoleID: bound, SecretID: vault.NewSecret(s.SecretID(t, "bound", nil))}})
	vaulttest.WantReason(t, refresh(v), vault.BadLogin)
}

// TestRestarted restarts the server under an open vault.
func TestRestarted(t *testing.T) {
	s := server.Start(t)
	roleID := s.Role(t, "facteur", map[string]any{"token_policies": policy(t, s, "facteur")})
	v := open(t, s, vault.Hashicorp{AppRole: &vault.AppRole{RoleID: roleID, SecretID: vault.NewSecret(s.SecretID(t, "facteur", nil))}})
	require.NoError(t, refresh(v))
	s.Stop(t)
	require.True(t, vaulttest.WantReason(t, refresh(v), vault.Down).Temporary())
	s.Restart(t)
	require.True(t, vaulttest.WantReason(t, refresh(v), vault.Sealed).Temporary())
	s.Unseal(t)
	s.ResetRequests()
	require.NoError(t, refresh(v))
	require.Equal(t, []string{"GET kv/data/messaging/shop"}, s.Requests(), "the token is still good")
}

// TestStalledNetwork lets the network stall, then cuts it.
func TestStalledNetwork(t *testing.T) {
	s := server.Start(t)
	proxy := e2e.NewProxy(t, strings.TrimPrefix(s.Address, "http://"))
	v := open(t, s, vault.Hashicorp{Address: "http://" + proxy.Address, Timeout: 2 * time.Second, Token: vault.NewSecret(s.Root)})
	require.NoError(t, refresh(v))
	proxy.Stall()
	e := vaulttest.WantReason(t, refresh(v), vault.Slow)
	require.True(t, e.Temporary())
	require.ErrorContains(t, e, "no answer within 2s; find out what slows it down, or raise vault.hashicorp.timeout")
	proxy.Mend()
	require.NoError(t, refresh(v))
	proxy.Cut()
	require.True(t, vaulttest.WantReason(t, refresh(v), vault.Down).Temporary())
	proxy.Mend()
	require.NoError(t, refresh(v))
}

// TestNamespace sends a namespace, which the open-source server ignores.
func TestNamespace(t *testing.T) {
	s := server.Start(t)
	require.NoError(t, refresh(open(t, s, vault.Hashicorp{Namespace: "team/shop", Token: vault.NewSecret(s.Root)})))
	require.True(t, slices.Contains(s.Requests(), "GET kv/data/messaging/shop"), "it is a header, not a part of the path")
}
