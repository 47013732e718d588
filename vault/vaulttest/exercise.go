package vaulttest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Target is a server for [Exercise]. Its tokens and its AppRole may read,
// create, update and delete below facteur/ in both engines, and nothing else.
type Target struct {
	Address, Namespace, CACert string

	KV2, KV1 string // the mounts of the two engines
	Token    string
	ReadOnly string // a token that may only read there
	AppRole  vault.AppRole

	// Grant issues a token with the rules and, unless noDefault is set, with the
	// server's default policy: lookup-self and renew-self.
	Grant func(t testing.TB, noDefault bool, rules ...Rule) string

	// Put and Get access the server directly. Get returns nil where there is
	// nothing.
	Put func(t testing.TB, mount, path string, data map[string]any)
	Get func(t testing.TB, mount, path string) map[string]any

	// Revoke revokes the tokens of the AppRole.
	Revoke func(t testing.TB)
	// Upgrade turns the engine KV1 into one of version 2.
	Upgrade func(t testing.TB)
	// Seal seals the server, or unseals it.
	Seal func(t testing.TB, sealed bool)
}

// Target returns the server as one to exercise.
func (s *Server) Target() Target {
	rules := func(can string) []Rule {
		return []Rule{{Path: KV2 + "/data/facteur/*", Can: can}, {Path: KV1 + "/facteur/*", Can: can}, {Path: KV1 + "/data/facteur/*", Can: can}}
	}
	s.AddRole(Role{RoleID: "role-1", SecretID: "secret-1", Rules: rules("read create update delete")})
	return Target{
		Address: s.Address, CACert: s.CACert, KV2: KV2, KV1: KV1,
		Token:    s.Token(0, 0, rules("read create update delete")...),
		ReadOnly: s.Token(0, 0, rules("read")...),
		AppRole:  vault.AppRole{RoleID: "role-1", SecretID: vault.NewSecret("secret-1")},
		Put:      func(_ testing.TB, mount, path string, data map[string]any) { s.Put(mount, path, data) },
		Get:      func(_ testing.TB, mount, path string) map[string]any { return s.Get(mount, path) },
		Revoke:   func(testing.TB) { s.Revoke() },
		Upgrade:  func(testing.TB) { s.Upgrade() },
		Seal:     func(_ testing.TB, sealed bool) { s.Seal(sealed) },
		Grant: func(_ testing.TB, noDefault bool, rules ...Rule) string {
			token := s.Token(0, 0, rules...)
			if noDefault {
				s.WithoutDefaultPolicy(token)
			}
			return token
		},
	}
}

// Exercise runs the conformance suite. Each test opens a server.
func Exercise(t *testing.T, open func(t *testing.T) Target) {
	ctx := context.Background()
	for _, engine := range []struct {
		name string
		kv2  bool
		kv   int
	}{
		{"version 2", true, 2}, {"version 1", false, 1}, {"version 2 found out", true, 0}, {"version 1 found out", false, 0},
	} {
		for _, test := range exercises() {
			t.Run(engine.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				target := open(t)
				mount := target.KV1
				if engine.kv2 {
					mount = target.KV2
				}
				test.run(t, ctx, exercise{Target: target, mount: mount, kv: engine.kv})
			})
		}
	}
}

type exercise struct {
	Target
	mount string
	kv    int
}

const path = "facteur/messaging/shop"

func (e exercise) put(t *testing.T, data map[string]any) { e.Put(t, e.mount, path, data) }

// get returns what is stored, with numbers as text.
func (e exercise) get(t *testing.T) map[string]string {
	texts := map[string]string{}
	for key, value := range e.Get(t, e.mount, path) {
		texts[key] = fmt.Sprint(value)
	}
	return texts
}

// apiPath is the path as policies name it.
func (e exercise) apiPath() string {
	if e.mount == e.KV2 {
		return e.mount + "/data/" + path
	}
	return e.mount + "/" + path
}

// withRule logs in with a token that has these capabilities at the path, and no others.
func (e exercise) withRule(t *testing.T, noDefault bool, can string) func(*vault.Hashicorp) {
	token := e.Grant(t, noDefault, Rule{Path: e.apiPath(), Can: can})
	return func(h *vault.Hashicorp) { h.Token = vault.NewSecret(token) }
}

// open opens a vault in which the connection shop is mapped to the path, and the
// connection other to one that no policy allows.
func (e exercise) open(t *testing.T, login func(*vault.Hashicorp)) *vault.Vault {
	h := &vault.Hashicorp{Address: e.Address, Namespace: e.Namespace, CACert: e.CACert}
	login(h)
	v, err := vault.New(vault.Config{
		Hashicorp: h,
		Connections: map[string]vault.Mapping{
			"shop": {
				App: vault.WhatsApp, Mount: e.mount, Path: path, KV: e.kv,
				Fields: map[string]string{"token": "access-token", "app_secret": "", "sender_phone_id": "phone"},
				Setup:  map[string]string{"api_version": "v23.0"},
			},
			"other": {App: vault.WhatsApp, Mount: e.mount, Path: "private/other", KV: e.kv},
		},
		Env: func(string) (string, bool) { return "", false },
	})
	require.NoError(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

func (e exercise) withToken(h *vault.Hashicorp)    { h.Token = vault.NewSecret(e.Token) }
func (e exercise) withReadOnly(h *vault.Hashicorp) { h.Token = vault.NewSecret(e.ReadOnly) }
func (e exercise) withAppRole(h *vault.Hashicorp)  { h.AppRole = &e.AppRole }

type scenario struct {
	name string
	run  func(*testing.T, context.Context, exercise)
}

func exercises() []scenario {
	return []scenario{
		{"read by token", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone", "phone": json.Number("106540352242922"), "verify_token": "not mapped"})
			c, err := e.open(t, e.withToken).Resolve(ctx, "shop")
			require.NoError(t, err)
			require.True(t, c.Secret("token").Equal("EAAGone"))
			require.True(t, c.Secret("verify_token").IsZero())
			require.Equal(t, map[string]string{"type": "TOKEN", "sender_phone_id": "106540352242922", "api_version": "v23.0"}, c.Setup)
		}},
		{"read by AppRole, rotate", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone", "more": "x"})
			v := e.open(t, e.withAppRole)
			first, err := v.Resolve(ctx, "shop")
			require.NoError(t, err)

			e.put(t, map[string]any{"access-token": "EAAGone", "more": "y"})
			_, changed, err := v.Refresh(ctx, "shop")
			require.NoError(t, err)
			require.False(t, changed, "a key that is not ours has changed")

			e.put(t, map[string]any{"access-token": "EAAGtwo"})
			c, changed, err := v.Refresh(ctx, "shop")
			require.NoError(t, err)
			require.True(t, changed)
			require.NotEqual(t, first.Version, c.Version)
			require.True(t, c.Secret("token").Equal("EAAGtwo"))
		}},
		{"log in again when the token is revoked", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone"})
			v := e.open(t, e.withAppRole)
			_, err := v.Resolve(ctx, "shop")
			require.NoError(t, err)
			e.Revoke(t)
			_, _, err = v.Refresh(ctx, "shop")
			require.NoError(t, err)
		}},
		{"write", func(t *testing.T, ctx context.Context, e exercise) {
			v := e.open(t, e.withAppRole)
			set := func(token string) {
				require.NoError(t, v.Set(ctx, "shop", vault.WhatsApp, map[string]string{"sender_phone_id": "7"}, map[string]vault.Secret{"token": vault.NewSecret(token)}))
			}
			set("EAAGone")
			require.Equal(t, map[string]string{"access-token": "EAAGone", "phone": "7"}, e.get(t))
			e.put(t, map[string]any{"access-token": "EAAGone", "theirs": "stays", "count": json.Number("9007199254740991")})
			set("EAAGtwo")
			require.Equal(t, map[string]string{"access-token": "EAAGtwo", "phone": "7", "theirs": "stays", "count": "9007199254740991"}, e.get(t))
			c, err := v.Resolve(ctx, "shop")
			require.NoError(t, err)
			require.True(t, c.Secret("token").Equal("EAAGtwo"))

			require.NoError(t, v.Set(ctx, "shop", vault.WhatsApp, map[string]string{"sender_phone_id": ""}, nil))
			require.Equal(t, map[string]string{"access-token": "EAAGtwo", "theirs": "stays", "count": "9007199254740991"}, e.get(t))
			require.NoError(t, v.Remove(ctx, "shop"))
			require.Equal(t, map[string]string{"theirs": "stays", "count": "9007199254740991"}, e.get(t))
			require.ErrorAs(t, v.Remove(ctx, "shop"), new(*vault.UnknownConnectionError))
		}},
		{"remove all", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone"})
			v := e.open(t, e.withToken)
			require.NoError(t, v.Remove(ctx, "shop"))
			require.Empty(t, e.get(t))
			_, err := v.Resolve(ctx, "shop")
			WantReason(t, err, vault.NotFound)
			if e.mount == e.KV2 {
				require.ErrorContains(t, err, "its latest version was deleted")
			}
			require.NoError(t, v.Set(ctx, "shop", vault.WhatsApp, nil, map[string]vault.Secret{"token": vault.NewSecret("EAAGnew")}))
			require.Equal(t, map[string]string{"access-token": "EAAGnew"}, e.get(t))
		}},
		{"policy", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone"})
			v := e.open(t, e.withReadOnly)
			_, err := v.Resolve(ctx, "shop")
			require.NoError(t, err)
			err = v.Set(ctx, "shop", vault.WhatsApp, nil, map[string]vault.Secret{"token": vault.NewSecret("EAAGtwo")})
			WantReason(t, err, vault.Denied)
			require.ErrorContains(t, err, `connection "shop": hashicorp vault: cannot write `+e.mount)
			require.ErrorContains(t, err, "allow the policy of the token or AppRole to read, create and update "+e.mount)
			_, err = v.Resolve(ctx, "other")
			WantReason(t, err, vault.Denied)
			require.Equal(t, map[string]string{"access-token": "EAAGone"}, e.get(t))
		}},
		{"read on this path alone", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone"})
			for _, noDefault := range []bool{false, true} {
				v := e.open(t, e.withRule(t, noDefault, "read"))
				_, err := v.Resolve(ctx, "shop")
				require.NoError(t, err)
				_, err = v.Resolve(ctx, "other")
				WantReason(t, err, vault.Denied)
				WantReason(t, v.Remove(ctx, "shop"), vault.Denied)
			}
		}},
		{"patch and not replace", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone", "phone": "7", "theirs": "stays"})
			v := e.open(t, e.withRule(t, false, "read patch"))
			err := v.Set(ctx, "shop", vault.WhatsApp, map[string]string{"sender_phone_id": ""}, map[string]vault.Secret{"token": vault.NewSecret("EAAGtwo")})
			if e.mount == e.KV1 { // it cannot
				WantReason(t, err, vault.Denied)
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]string{"access-token": "EAAGtwo", "theirs": "stays"}, e.get(t))
		}},
		{"sealed", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone"})
			for _, login := range []func(*vault.Hashicorp){e.withToken, e.withAppRole} {
				v := e.open(t, login)
				_, err := v.Resolve(ctx, "shop")
				require.NoError(t, err)
				e.Seal(t, true)
				for _, v := range []*vault.Vault{v, e.open(t, login)} {
					_, _, err = v.Refresh(ctx, "shop")
					require.True(t, WantReason(t, err, vault.Sealed).Temporary())
					require.ErrorContains(t, err, "it is sealed (status 503); unseal it: vault operator unseal")
				}
				e.Seal(t, false)
				_, _, err = v.Refresh(ctx, "shop")
				require.NoError(t, err)
			}
		}},
		{"another version of the engine", func(t *testing.T, ctx context.Context, e exercise) {
			if e.mount != e.KV1 || e.kv != 0 {
				return
			}
			e.put(t, map[string]any{"access-token": "EAAGone"})
			v := e.open(t, e.withReadOnly)
			_, err := v.Resolve(ctx, "shop")
			require.NoError(t, err)
			e.Upgrade(t)
			require.EventuallyWithT(t, func(t *assert.CollectT) {
				_, changed, err := v.Refresh(ctx, "shop")
				require.NoError(t, err)
				require.False(t, changed)
			}, 10*time.Second, 10*time.Millisecond, "the engine prepares itself")
		}},
		{"nothing there", func(t *testing.T, ctx context.Context, e exercise) {
			_, err := e.open(t, e.withToken).Resolve(ctx, "shop")
			WantReason(t, err, vault.NotFound)
			require.ErrorContains(t, err, "vault kv put -mount="+e.mount+" "+path)
		}},
		{"key missing", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"token": "under another key"})
			_, err := e.open(t, e.withToken).Resolve(ctx, "shop")
			require.ErrorAs(t, err, new(*vault.MissingFieldError))
		}},
		{"a number that is too long", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone", "phone": json.Number("10654035224292201")})
			_, err := e.open(t, e.withToken).Resolve(ctx, "shop")
			require.ErrorAs(t, err, new(*vault.InvalidFieldError))
			require.ErrorContains(t, err, `key "phone" of `+e.mount+`/`+path+` is a number, which may have lost digits; store it as text`)
		}},
		{"wrong login", func(t *testing.T, ctx context.Context, e exercise) {
			e.put(t, map[string]any{"access-token": "EAAGone"})
			_, err := e.open(t, func(h *vault.Hashicorp) {
				role := e.AppRole
				role.SecretID, role.SecretIDFile = vault.NewSecret("not-the-secret-id"), ""
				h.AppRole = &role
			}).Resolve(ctx, "shop")
			WantReason(t, err, vault.BadLogin)
			_, err = e.open(t, func(h *vault.Hashicorp) { h.Token = vault.NewSecret("hvs.not-a-token") }).Resolve(ctx, "shop")
			WantReason(t, err, vault.BadLogin)
			require.NotContains(t, err.Error(), "not-a-token")
		}},
	}
}

// WantReason requires a BackendError with that reason.
func WantReason(t *testing.T, err error, want vault.Reason) *vault.BackendError {
	t.Helper()
	var e *vault.BackendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason, "%v", err)
	return e
}
