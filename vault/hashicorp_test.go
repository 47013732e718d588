package vault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/vault"
	"facteur/vault/vaulttest"

	"github.com/stretchr/testify/require"
)

func TestHashicorp(t *testing.T) {
	vaulttest.Exercise(t, func(t *testing.T) vaulttest.Target { return vaulttest.New(t).Target() })
}

const shopPath = "kv/data/messaging/shop"

func shopRule(can string) vaulttest.Rule { return vaulttest.Rule{Path: shopPath, Can: can} }

// withShop stores a token and opens a vault that maps the connection shop to it.
func withShop(t *testing.T, s *vaulttest.Server, h vault.Hashicorp) *vault.Vault {
	t.Helper()
	s.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": "EAAGone"})
	if h.Address == "" {
		h.Address = s.Address
	}
	return open(t, vault.Config{
		Hashicorp:   &h,
		Connections: map[string]vault.Mapping{"shop": {App: vault.WhatsApp, Mount: "kv", Path: "messaging/shop"}},
	})
}

func refresh(t *testing.T, v *vault.Vault) {
	t.Helper()
	_, _, err := v.Refresh(context.Background(), "shop")
	require.NoError(t, err)
}

// later moves both clocks.
func later(s *vaulttest.Server, c *vault.Clock, d time.Duration) {
	s.Advance(d)
	c.Advance(d)
}

func role(s *vaulttest.Server, r vaulttest.Role) *vault.AppRole {
	r.RoleID, r.SecretID, r.Rules = "role-1", "secret-1", []vaulttest.Rule{shopRule("read")}
	s.AddRole(r)
	return &vault.AppRole{RoleID: "role-1", SecretID: vault.NewSecret("secret-1")}
}

const (
	logIn  = "PUT auth/approle/login"
	renew  = "PUT auth/token/renew-self"
	lookUp = "GET auth/token/lookup-self"
	read2  = "GET " + shopPath
)

func TestAsksOnlyWhatItNeeds(t *testing.T) {
	s := vaulttest.New(t)
	v := withShop(t, s, vault.Hashicorp{AppRole: role(s, vaulttest.Role{})})
	for range 10 {
		_, err := v.Resolve(context.Background(), "shop")
		require.NoError(t, err)
	}
	refresh(t, v)
	require.Equal(t, []string{logIn, read2, read2}, s.Requests())
}

func TestEngineVersionIsFoundOutOnce(t *testing.T) {
	s := vaulttest.New(t)
	s.Put(vaulttest.KV1, "messaging/shop", map[string]any{"token": "EAAGone"})
	v := open(t, vault.Config{
		Hashicorp:   &vault.Hashicorp{Address: s.Address, Token: vault.NewSecret(s.Token(0, 0, vaulttest.Rule{Path: "kv1/messaging/shop", Can: "read"}))},
		Connections: map[string]vault.Mapping{"shop": {Mount: "/kv1/", Path: "messaging/shop"}},
	})
	refresh(t, v)
	s.ResetRequests()
	refresh(t, v)
	require.Equal(t, []string{"GET kv1/messaging/shop"}, s.Requests())
}

func TestTokensLiveOn(t *testing.T) {
	rounds := func(s *vaulttest.Server, v *vault.Vault, c *vault.Clock, n int, d time.Duration) {
		for range n {
			later(s, c, d)
			refresh(t, v)
		}
	}
	tests := []struct {
		name string
		role vaulttest.Role
		n    int
		d    time.Duration
		want []string
	}{
		{"nothing to do", vaulttest.Role{TTL: time.Hour}, 3, 10 * time.Minute, []string{read2, read2, read2}},
		{"renewed", vaulttest.Role{TTL: time.Hour}, 3, 50 * time.Minute, []string{renew, read2, renew, read2, renew, read2}},
		{"logged in when renewing ends", vaulttest.Role{TTL: time.Hour, MaxTTL: 2 * time.Hour}, 3, 50 * time.Minute, []string{renew, read2, renew, logIn, read2, renew, read2}},
		{"logged in when it cannot be renewed", vaulttest.Role{TTL: time.Hour, NotRenewable: true}, 2, 50 * time.Minute, []string{logIn, read2, logIn, read2}},
		{"logged in after a long sleep", vaulttest.Role{TTL: time.Hour}, 1, 100 * time.Hour, []string{renew, logIn, read2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := vaulttest.New(t)
			v := withShop(t, s, vault.Hashicorp{AppRole: role(s, tt.role)})
			c := vault.NewClock(v)
			refresh(t, v)
			s.ResetRequests()
			rounds(s, v, c, tt.n, tt.d)
			got := s.Requests()
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTokenIsRenewedWhenNobodyAsks(t *testing.T) {
	s := vaulttest.New(t)
	v := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(s.Token(time.Hour, 0, shopRule("read")))})
	c := vault.NewClock(v)
	refresh(t, v)
	s.ResetRequests()
	for range 24 {
		later(s, c, 41*time.Minute)
		require.True(t, c.Ring())
	}
	require.Equal(t, 24, s.Count("PUT", "auth/token/renew-self"))
	refresh(t, v)

	// A server that is away for a while costs nothing as long as the token lives.
	s.Handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	later(s, c, 41*time.Minute)
	require.True(t, c.Ring())
	s.Handle(nil)
	later(s, c, 7*time.Minute)
	require.True(t, c.Ring())
	refresh(t, v)
	require.NoError(t, v.Close())
	later(s, c, time.Hour)
	require.False(t, c.Ring(), "closed")
}

func TestGivenTokens(t *testing.T) {
	ctx := context.Background()
	s := vaulttest.New(t)
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) { require.NoError(t, os.WriteFile(path, []byte(token+"\n"), 0o600)) }

	v := withShop(t, s, vault.Hashicorp{TokenFile: path})
	_, err := v.Resolve(ctx, "shop")
	vaulttest.WantReason(t, err, vault.BadLogin)
	require.ErrorContains(t, err, "no such file")

	write(s.Token(0, 0, shopRule("read")))
	refresh(t, v)
	s.Revoke()
	_, _, err = v.Refresh(ctx, "shop")
	vaulttest.WantReason(t, err, vault.BadLogin)
	require.ErrorContains(t, err, "the token is not valid")
	write(s.Token(0, 0, shopRule("read")))
	refresh(t, v)

	modest := s.Token(time.Hour, 0, shopRule("read"))
	s.WithoutDefaultPolicy(modest)
	refresh(t, withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(modest)}))
}

func TestReloginHappensOnce(t *testing.T) {
	s := vaulttest.New(t)
	v := withShop(t, s, vault.Hashicorp{AppRole: role(s, vaulttest.Role{})})
	refresh(t, v)
	s.Handle(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			fmt.Fprint(w, `{"auth": {"client_token": "hvs.again", "lease_duration": 3600}}`)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"errors": ["permission denied"]}`) // as older servers say of a dead token
	})
	s.ResetRequests()
	_, _, err := v.Refresh(context.Background(), "shop")
	vaulttest.WantReason(t, err, vault.Denied)
	require.Equal(t, []string{read2, lookUp, logIn, read2}, s.Requests())
}

func TestNamespaceAndAuthority(t *testing.T) {
	s := vaulttest.NewTLS(t)
	s.RequireNamespace("team/shop")
	refresh(t, withShop(t, s, vault.Hashicorp{CACert: s.CACert, Namespace: "team/shop", AppRole: role(s, vaulttest.Role{})}))

	_, err := withShop(t, s, vault.Hashicorp{CACert: s.CACert, AppRole: role(s, vaulttest.Role{})}).Resolve(context.Background(), "shop")
	vaulttest.WantReason(t, err, vault.BadLogin)
	require.ErrorContains(t, err, "the namespace")
}

func TestEnvironmentOfTheVaultTool(t *testing.T) {
	s := vaulttest.New(t)
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_TOKEN", "hvs.of-somebody-else")
	t.Setenv("VAULT_NAMESPACE", "elsewhere")
	refresh(t, withShop(t, s, vault.Hashicorp{AppRole: role(s, vaulttest.Role{})}))
}

func TestWrites(t *testing.T) {
	ctx := context.Background()
	set := func(v *vault.Vault, token string) error {
		return v.Set(ctx, "shop", vault.WhatsApp, nil, map[string]vault.Secret{"token": vault.NewSecret(token)})
	}
	t.Run("a policy that allows to patch only", func(t *testing.T) {
		s := vaulttest.New(t)
		v := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(s.Token(0, 0, shopRule("read patch")))})
		s.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": "EAAGone", "theirs": "stays"})
		require.NoError(t, set(v, "EAAGtwo"))
		require.Equal(t, map[string]any{"token": "EAAGtwo", "theirs": "stays"}, s.Get(vaulttest.KV2, "messaging/shop"))
	})
	t.Run("somebody writes in between", func(t *testing.T) {
		s := vaulttest.New(t)
		v := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(vaulttest.Root)})
		var times atomic.Int32
		s.Handle(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && times.Add(1) == 1 {
				s.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": "EAAGone", "theirs": "stays"})
			}
			s.Handle(nil)
			defer s.Handle(nil)
			s.ServeHTTP(w, r)
		})
		require.NoError(t, set(v, "EAAGtwo"))
		require.Equal(t, "EAAGtwo", s.Get(vaulttest.KV2, "messaging/shop")["token"])
	})
	t.Run("somebody writes all the time", func(t *testing.T) {
		s := vaulttest.New(t)
		v := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(vaulttest.Root)})
		refresh(t, v)
		s.Handle(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"errors": ["check-and-set parameter did not match the current version"]}`)
				return
			}
			json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"data": map[string]any{"token": "x"}, "metadata": map[string]any{"version": 7}}})
		})
		s.ResetRequests()
		vaulttest.WantReason(t, set(v, "EAAGtwo"), vault.Conflict)
		require.Equal(t, 3, s.Count("PUT", shopPath))
	})
}

func TestTroubleWithTheServer(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	page := "<html>echo: X-Vault-Token: hvs.root-of-the-fake-vault</html>"
	tests := []struct {
		name      string
		trouble   func(*vaulttest.Server, *vault.Hashicorp)
		reason    vault.Reason
		temporary bool
		message   string
	}{
		{"down", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Stop() }, vault.Down, true, "it does not answer; make sure that the server runs"},
		{"sealed", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Seal(true) }, vault.Sealed, true, "it is sealed (status 503); unseal it: vault operator unseal"},
		{"slow", func(s *vaulttest.Server, h *vault.Hashicorp) {
			h.Timeout = time.Second
			s.Handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, vault.Slow, true, "no answer within 1s"},
		{"broken", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Handle(status(500, page)) }, vault.Down, true, "it does not answer (status 500)"},
		{"unknown name", func(_ *vaulttest.Server, h *vault.Hashicorp) { h.Address = "http://vault.invalid:8200" }, vault.DNS, true, "its name cannot be resolved"},
		{"http for https", func(s *vaulttest.Server, h *vault.Hashicorp) {
			h.Address = strings.Replace(s.Address, "http:", "https:", 1)
		}, vault.TLS, false, "its certificate is not trusted; set vault.hashicorp.ca_cert"},
		{"a page", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Handle(status(200, page)) }, vault.BadAnswer, false, "the answer is not from HashiCorp Vault; check vault.hashicorp.address"},
		{"a page, not found", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Handle(status(404, page)) }, vault.BadAnswer, false, "not from HashiCorp Vault"},
		{"a refusal that is a page", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Handle(status(400, page)) }, vault.BadAnswer, false, "not from HashiCorp Vault"},
		{"another json", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Handle(status(200, `{"data": {"hello": "world"}}`)) }, vault.BadAnswer, false, "not from HashiCorp Vault"},
		{"five megabytes", func(s *vaulttest.Server, _ *vault.Hashicorp) {
			s.Handle(status(200, `{"data": {"data": {"token": "`+strings.Repeat("x", 5<<20)+`"}}}`))
		}, vault.BadAnswer, false, "not from HashiCorp Vault"},
		{"cut off", func(s *vaulttest.Server, _ *vault.Hashicorp) {
			s.Handle(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				fmt.Fprint(w, `{"data": {"data": `)
			})
		}, vault.Down, true, "it does not answer"},
		{"too many requests", func(s *vaulttest.Server, _ *vault.Hashicorp) { s.Handle(status(429, `{"errors": ["quota"]}`)) }, vault.Slow, true, "it does not answer in time (status 429); raise the server's rate limit quota"},
		{"an engine that becomes version 2", func(s *vaulttest.Server, _ *vault.Hashicorp) {
			s.Handle(status(400, `{"errors": ["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`))
		}, vault.Down, true, "it does not answer (status 400)"},
	}
	for _, tt := range tests {
		for _, when := range []string{"at login", "after login"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := vaulttest.New(t)
				h := vault.Hashicorp{Address: s.Address, Token: vault.NewSecret(vaulttest.Root)}
				tt.trouble(s, &h)
				if when == "after login" {
					if h.Address != s.Address {
						t.Skip("nobody logs in there")
					}
					s.Handle(nil)
					s.Seal(false)
				}
				v := withShop(t, s, h)
				if when == "after login" && tt.name != "down" {
					refresh(t, v)
					tt.trouble(s, &h)
				}
				_, _, err := v.Refresh(context.Background(), "shop")
				e := vaulttest.WantReason(t, err, tt.reason)
				require.ErrorContains(t, err, tt.message)
				require.ErrorContains(t, err, `connection "shop": hashicorp vault: cannot read kv/data/messaging/shop at http`)
				require.Equal(t, tt.temporary, e.Temporary())
				require.True(t, e.Unreadable())
				noLeak(t, err, vaulttest.Root)
			})
		}
	}
	t.Run("unknown authority", func(t *testing.T) {
		s := vaulttest.NewTLS(t)
		_, err := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(vaulttest.Root)}).Resolve(context.Background(), "shop")
		require.False(t, vaulttest.WantReason(t, err, vault.TLS).Temporary())
		require.ErrorContains(t, err, "set vault.hashicorp.ca_cert to the PEM file")
	})
	t.Run("http to https", func(t *testing.T) {
		s := vaulttest.NewTLS(t)
		_, err := withShop(t, s, vault.Hashicorp{Address: strings.Replace(s.Address, "https:", "http:", 1), Token: vault.NewSecret(vaulttest.Root)}).Resolve(context.Background(), "shop")
		vaulttest.WantReason(t, err, vault.TLS)
	})
	t.Run("deleted", func(t *testing.T) {
		s := vaulttest.New(t)
		v := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(vaulttest.Root)})
		require.NoError(t, v.Remove(context.Background(), "shop"))
		_, err := v.Resolve(context.Background(), "shop")
		vaulttest.WantReason(t, err, vault.NotFound)
		require.ErrorContains(t, err, "its latest version was deleted")
	})
	t.Run("not text", func(t *testing.T) {
		s := vaulttest.New(t)
		v := withShop(t, s, vault.Hashicorp{Token: vault.NewSecret(vaulttest.Root)})
		s.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": map[string]any{"deep": "EAAGdeep"}})
		_, err := v.Resolve(context.Background(), "shop")
		require.ErrorContains(t, err, `connection "shop" (WHATSAPP): token: key "token" of kv/messaging/shop is not text`)
		noLeak(t, err, "EAAGdeep")
	})
}

func TestServerConfiguration(t *testing.T) {
	some := vault.NewSecret("x")
	tests := []struct {
		name string
		h    vault.Hashicorp
		err  string
	}{
		{"no way to log in", vault.Hashicorp{Address: "https://v:8200"}, "exactly one way to log in is needed; give one of token, token_file and approle"},
		{"two ways", vault.Hashicorp{Address: "https://v:8200", Token: some, TokenFile: "f"}, "exactly one way to log in is needed"},
		{"no role", vault.Hashicorp{Address: "https://v:8200", AppRole: &vault.AppRole{SecretID: some}}, "an AppRole needs exactly one role ID"},
		{"two secret ids", vault.Hashicorp{Address: "https://v:8200", AppRole: &vault.AppRole{RoleID: "r", SecretID: some, SecretIDFile: "f"}}, "an AppRole needs exactly one secret ID"},
		{"no address", vault.Hashicorp{Token: some}, "the address is not the address of a server; write vault.hashicorp.address as https://vault.internal:8200"},
		{"no scheme", vault.Hashicorp{Address: "vault.internal:8200", Token: some}, "the address is not the address of a server"},
		{"a password in the address", vault.Hashicorp{Address: "https://me:hunter2@v:8200", Token: some}, "the address is not the address of a server"},
		{"no such authority", vault.Hashicorp{Address: "https://v:8200", Token: some, CACert: "/nowhere/ca.pem"}, "cannot read /nowhere/ca.pem: no such file or directory"},
		{"not an authority", vault.Hashicorp{Address: "https://v:8200", Token: some, CACert: "vault.go"}, "it contains no PEM certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := vault.New(vault.Config{Hashicorp: &tt.h})
			vaulttest.WantReason(t, err, vault.Misconfigured)
			require.ErrorContains(t, err, tt.err)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
