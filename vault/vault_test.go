package vault_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/vault"

	"github.com/stretchr/testify/require"
)

// variables stands for the environment.
type variables map[string]string

func (v variables) lookup(key string) (string, bool) {
	value, ok := v[key]
	return value, ok
}

func open(t *testing.T, cfg vault.Config) *vault.Vault {
	t.Helper()
	if cfg.Env == nil {
		cfg.Env = variables{}.lookup
	}
	v, err := vault.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

func token(s string) map[string]vault.Secret {
	return map[string]vault.Secret{"token": vault.NewSecret(s)}
}

func TestResolve(t *testing.T) {
	declared := map[string]vault.Mapping{"shop-fr": {App: vault.WhatsApp, Setup: map[string]string{"sender_phone_id": "106540352242922", "api_version": "v23.0"}}}
	tests := []struct {
		name     string
		fixed    map[string]vault.Connection
		env      variables
		declared map[string]vault.Mapping
		stored   map[string]vault.Secret
		ask      string
		token    string
		setup    map[string]string
		err      string
	}{
		{
			name: "fixed goes before all", ask: "shop-fr", token: "from-test",
			fixed:  map[string]vault.Connection{"shop-fr": {Secrets: token("from-test")}},
			env:    variables{"FACTEUR_CONNECTION_SHOP_FR_TOKEN": "from-env"},
			stored: token("from-file"), setup: map[string]string{"type": "TOKEN"},
		}, {
			name: "environment before file", ask: "shop-fr", token: "from-env",
			env:    variables{"FACTEUR_CONNECTION_SHOP_FR_TOKEN": "from-env\n", "FACTEUR_CONNECTION_SHOP_FR_API_VERSION": "v24.0"},
			stored: token("from-file"), declared: declared,
			setup: map[string]string{"type": "TOKEN", "sender_phone_id": "106540352242922", "api_version": "v24.0"},
		}, {
			name: "a plain variable leaves the secret to the file", ask: "shop-fr", token: "from-file",
			env:    variables{"FACTEUR_CONNECTION_SHOP_FR_BASE_URL": "http://127.0.0.1:9/graph"},
			stored: token("from-file"),
			setup:  map[string]string{"type": "TOKEN", "base_url": "http://127.0.0.1:9/graph"},
		}, {
			name: "file", ask: "shop-fr", stored: token("from-file"), token: "from-file", setup: map[string]string{"type": "TOKEN"},
		}, {
			name: "unknown", ask: "shop", declared: declared,
			err: `there is no connection "shop": store it with "facteur vault set shop", or use one of shop-fr`,
		}, {
			name: "the first of all", ask: "shop",
			err: `there is no connection "shop", nor any other: store it with "facteur vault set shop", or set FACTEUR_CONNECTION_SHOP_TOKEN`,
		}, {
			name: "declared without a secret", ask: "shop-fr", declared: declared,
			err: `connection "shop-fr" (WHATSAPP, from the project file) has no token: store it with "facteur vault set shop-fr", or set FACTEUR_CONNECTION_SHOP_FR_TOKEN`,
		}, {
			name: "mapped without a server", ask: "crm", declared: map[string]vault.Mapping{"crm": {App: vault.HTTP, Mount: "kv", Path: "crm"}},
			err: `connection "crm": hashicorp vault: cannot read: it is mapped to kv/crm, but no server is configured; give vault.hashicorp in the project file, or set FACTEUR_CONNECTION_CRM_TOKEN`,
		}, {
			name: "not a name", ask: "../shop", err: `connection "../shop": name: it is not a valid name; use a letter`,
		}, {
			name: "no such app", ask: "a", env: variables{"FACTEUR_CONNECTION_A_APP": "sms", "FACTEUR_CONNECTION_A_TOKEN": "x"},
			err: `connection "a" (SMS): app: there is no such app; use one of HTTP, WEBHOOK, WHATSAPP`,
		}, {
			name: "a token with a space", ask: "a", env: variables{"FACTEUR_CONNECTION_A_TOKEN": "x y"},
			err: `connection "a" (WHATSAPP): token: it contains a space; expected: access token`,
		}, {
			name: "a token with a line break", ask: "a", env: variables{"FACTEUR_CONNECTION_A_TOKEN": "x\r\nX-Evil: y"},
			err: `connection "a" (WHATSAPP): token: it contains a line break`,
		}, {
			name: "a phone number for its id", ask: "a", env: variables{"FACTEUR_CONNECTION_A_TOKEN": "x", "FACTEUR_CONNECTION_A_SENDER_PHONE_ID": "+33612345678"},
			err: `connection "a" (WHATSAPP): sender_phone_id: it does not match ^[0-9]+$; expected: phone number ID`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.Background()
			dir := t.TempDir()
			if tt.stored != nil {
				require.NoError(t, open(t, vault.Config{Dir: dir}).Set(ctx, tt.ask, vault.WhatsApp, nil, tt.stored))
			}
			v := open(t, vault.Config{Dir: dir, Env: tt.env.lookup, Fixed: tt.fixed, Connections: tt.declared})
			c, err := v.Resolve(ctx, tt.ask)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.ask, c.Name)
			require.Equal(t, vault.WhatsApp, c.App)
			require.True(t, c.Secret("token").Equal(tt.token))
			require.Equal(t, tt.setup, c.Setup)
			require.NotEmpty(t, c.Version)
		})
	}
}

func TestOthers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, vault.Config{Dir: dir}).Set(t.Context(), "stored", vault.WhatsApp, nil, token("x")))
	v := open(t, vault.Config{Dir: dir, Env: variables{"FACTEUR_CONNECTION_SHOP_EN_TOKEN": "x"}.lookup, Connections: map[string]vault.Mapping{"declared": {App: vault.HTTP}}})
	for _, known := range []string{"stored", "declared", "shop-en", "shop_en"} {
		require.Nil(t, v.Others(known), known)
	}
	require.Equal(t, []string{"declared", "stored"}, v.Others("stroed"))
	require.Nil(t, open(t, vault.Config{}).Others("any"), "nothing is known, and nothing near")
}

func TestApps(t *testing.T) {
	tests := []struct {
		name  string
		env   variables
		typed string
		err   string
	}{
		{"bearer", variables{"APP": "http", "TOKEN": "t"}, "bearer", ""},
		{"basic", variables{"APP": "HTTP", "USERNAME": "u", "PASSWORD": "p w"}, "basic", ""},
		{"header", variables{"APP": "HTTP", "HEADER": "X-Api-Key", "VALUE": "v"}, "header", ""},
		{"hmac", variables{"APP": "WEBHOOK", "SECRET": "s"}, "hmac", ""},
		{"shared", variables{"APP": "WEBHOOK", "TYPE": "shared", "SECRET": "s", "HEADER": "X-Token"}, "shared", ""},
		{"nothing", variables{"APP": "HTTP"}, "", "(HTTP, from the environment) has no token"},
		{"two fields missing", variables{"APP": "HTTP", "TYPE": "header"}, "", "has no header and no value"},
		{"no such type", variables{"APP": "HTTP", "TYPE": "digest", "TOKEN": "t"}, "", "type: it does not match"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := variables{}
			for key, value := range tt.env {
				env["FACTEUR_CONNECTION_CRM_"+key] = value
			}
			c, err := open(t, vault.Config{Env: env.lookup}).Resolve(context.Background(), "crm")
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.typed, c.Get("type"))
		})
	}
}

func TestNewChecksTheProjectFile(t *testing.T) {
	_, err := vault.New(vault.Config{Connections: map[string]vault.Mapping{
		"9":    {},
		"a":    {App: "SMS"},
		"b":    {Setup: map[string]string{"token": "EAAGpastedByMistake"}},
		"c":    {Setup: map[string]string{"sender_phone": "1"}},
		"d":    {Mount: "kv", Path: "x", Fields: map[string]string{"tokn": "token"}},
		"e":    {Path: "x", KV: 3},
		"fine": {App: vault.WhatsApp, Mount: "kv", Path: "x"},
	}})
	require.Error(t, err)
	for _, want := range []string{
		`"9": name: it is not a valid name`,
		`"a" (SMS): app: there is no such app`,
		`"b" (WHATSAPP): token: it is a secret and does not belong in plain text; store it in the vault`,
		`"c" (WHATSAPP): sender_phone: there is no such field; use one of token, app_secret,`,
		`"d" (WHATSAPP): tokn: there is no such field`,
		`"e" (WHATSAPP): vault: a mount and a path must be given together`,
		`"e" (WHATSAPP): kv: there is no such version`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "pastedByMistake")
	require.NotContains(t, err.Error(), `"fine"`)
}

func TestCacheAndRefresh(t *testing.T) {
	ctx := context.Background()
	var mu sync.Mutex
	env := variables{"FACTEUR_CONNECTION_A_TOKEN": "one"}
	rotate := func(to string) {
		mu.Lock()
		defer mu.Unlock()
		env["FACTEUR_CONNECTION_A_TOKEN"] = to
	}
	v := open(t, vault.Config{Env: func(key string) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		return env.lookup(key)
	}})
	clock := vault.NewClock(v)
	resolve := func() vault.Connection {
		t.Helper()
		c, err := v.Resolve(ctx, "a")
		require.NoError(t, err)
		return c
	}
	first := resolve()
	require.True(t, first.Secret("token").Equal("one"))

	c, changed, err := v.Refresh(ctx, "a")
	require.NoError(t, err)
	require.False(t, changed)
	require.Equal(t, first.Version, c.Version)

	rotate("two")
	require.True(t, resolve().Secret("token").Equal("one"), "cached")
	c, changed, err = v.Refresh(ctx, "a")
	require.NoError(t, err)
	require.True(t, changed)
	require.NotEqual(t, first.Version, c.Version)
	require.True(t, resolve().Secret("token").Equal("two"))

	rotate("one")
	clock.Advance(29 * time.Second)
	require.True(t, resolve().Secret("token").Equal("two"))
	clock.Advance(time.Second)
	back := resolve()
	require.True(t, back.Secret("token").Equal("one"), "the cache has ended")
	require.Equal(t, first.Version, back.Version, "the version follows from the secrets alone")

	rotate("")
	_, _, err = v.Refresh(ctx, "a")
	require.Error(t, err)
	_, err = v.Resolve(ctx, "a")
	require.Error(t, err, "what was refused is not handed out again")
}

func TestCallersShareOneRead(t *testing.T) {
	var reads atomic.Int32
	started, release := make(chan struct{}), make(chan struct{})
	v := open(t, vault.Config{Env: func(key string) (string, bool) {
		if !strings.HasSuffix(key, "_A_TOKEN") {
			return "", false
		}
		if reads.Add(1) == 1 {
			close(started)
		}
		<-release
		return "t", true
	}})
	impatient, leave := context.WithCancel(context.Background())
	var left, wg sync.WaitGroup
	left.Go(func() {
		_, err := v.Resolve(impatient, "a")
		require.ErrorIs(t, err, context.Canceled)
	})
	<-started
	for range 50 {
		wg.Go(func() {
			c, err := v.Resolve(context.Background(), "a")
			require.NoError(t, err)
			require.True(t, c.Secret("token").Equal("t"))
		})
	}
	leave()
	left.Wait()
	close(release)
	wg.Wait()
	require.EqualValues(t, 1, reads.Load())
}
