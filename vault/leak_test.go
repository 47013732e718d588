package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"testing"

	"facteur/vault"
	"facteur/vault/vaulttest"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// noLeak prints a value in all ways and looks for the secret in all encodings.
func noLeak(t *testing.T, value any, secret string) {
	t.Helper()
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "v", value)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("m", "v", value)
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		shown = append(shown, fmt.Sprintf(verb, value))
	}
	asJSON, _ := json.Marshal(value)
	shown = append(shown, logged.String(), string(asJSON))
	if err, ok := value.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			inner, _ := json.Marshal(err)
			shown = append(shown, err.Error(), fmt.Sprintf("%+v", err), string(inner))
		}
	}
	for _, text := range shown {
		for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), fmt.Sprintf("%X", secret)} {
			require.NotContains(t, text, form)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	const token = "EAAG+secret/value=="
	s := vault.NewSecret(token)
	require.Equal(t, token, s.Reveal())
	require.True(t, s.Equal(token))
	require.False(t, s.Equal("EAAG"))
	require.True(t, vault.NewSecret("").IsZero())
	require.Equal(t, "[secret]", s.String())
	require.Equal(t, "[secret]", fmt.Sprintf("%x", s))

	type nested struct {
		Open   vault.Secret
		hidden vault.Secret
		list   []vault.Secret
		byName map[string]vault.Secret
		any    any
	}
	c := vault.Connection{Name: "a", App: vault.WhatsApp, Secrets: map[string]vault.Secret{"token": s}}
	h := vault.Hashicorp{Address: "http://x", Token: s, AppRole: &vault.AppRole{SecretID: s}}
	v := open(t, vault.Config{Dir: t.TempDir(), Fixed: map[string]vault.Connection{"a": c}})
	require.NoError(t, v.Set(context.Background(), "b", vault.WhatsApp, nil, token2(s)))
	resolved, err := v.Resolve(context.Background(), "a")
	require.NoError(t, err)
	_, err = v.Resolve(context.Background(), "b")
	require.NoError(t, err)
	_, err = v.Seal(nil, nil)
	require.NoError(t, err)
	infos, err := v.List(context.Background())
	require.NoError(t, err)
	for _, value := range []any{
		s, &s, []vault.Secret{s}, nested{s, s, []vault.Secret{s}, map[string]vault.Secret{"k": s}, s},
		&nested{hidden: s}, c, resolved, h, &h, v, infos, vault.Config{Hashicorp: &h},
		slog.GroupValue(slog.Any("s", s)), fmt.Errorf("wrapped %w %v", errors.New("x"), s),
	} {
		noLeak(t, value, token)
	}
	text, err := yaml.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(text), token)
	require.Contains(t, string(text), "[secret]")
}

func token2(s vault.Secret) map[string]vault.Secret { return map[string]vault.Secret{"token": s} }

func TestListHidesSecrets(t *testing.T) {
	ctx := context.Background()
	s := vaulttest.New(t)
	s.Put(vaulttest.KV2, "messaging/shop", map[string]any{"token": "EAAGlong-enough9f2c"})
	dir := t.TempDir()
	t.Setenv("FACTEUR_CONNECTION_CRM_APP", "HTTP")
	t.Setenv("FACTEUR_CONNECTION_CRM_TOKEN", "short")
	t.Setenv("FACTEUR_CONNECTION_META_APP_SECRET", "no-token-with-it")
	v, err := vault.New(vault.Config{
		Dir:       dir,
		Hashicorp: &vault.Hashicorp{Address: s.Address, Token: vault.NewSecret(vaulttest.Root)},
		Connections: map[string]vault.Mapping{
			"shop":  {App: vault.WhatsApp, Mount: "kv", Path: "messaging/shop"},
			"gone":  {App: vault.WhatsApp, Mount: "kv", Path: "messaging/gone"},
			"plain": {App: vault.WhatsApp, Setup: map[string]string{"waba_id": "1"}},
		},
		Fixed: map[string]vault.Connection{"test": {Secrets: token("test-token-for-flows")}},
	})
	require.NoError(t, err)
	defer v.Close()
	require.NoError(t, v.Set(ctx, "stored", vault.Webhook, nil, map[string]vault.Secret{"secret": vault.NewSecret("twelve-chars")}))
	infos, err := v.List(ctx)
	require.NoError(t, err)
	var lines []string
	for _, i := range infos {
		lines = append(lines, fmt.Sprintf("%s %s %s ready=%v missing=%v %s created=%v updated=%v refreshed=%v failed=%v",
			i.Name, i.App, i.Backend, i.Ready, i.Missing, i.Hint, !i.CreatedAt.IsZero(), !i.UpdatedAt.IsZero(), !i.RefreshedAt.IsZero(), i.Err != nil))
	}
	require.Equal(t, []string{
		"crm HTTP env ready=true missing=[] … created=false updated=false refreshed=true failed=false",
		"gone WHATSAPP hashicorp ready=false missing=[]  created=false updated=false refreshed=false failed=true",
		"meta WHATSAPP env ready=false missing=[token] no…it created=false updated=false refreshed=true failed=false",
		"plain WHATSAPP project file ready=false missing=[token]  created=false updated=false refreshed=true failed=false",
		"shop WHATSAPP hashicorp ready=true missing=[] EA…2c created=true updated=true refreshed=true failed=false",
		"stored WEBHOOK file ready=true missing=[] tw…rs created=true updated=true refreshed=true failed=false",
		"test WHATSAPP fixed ready=true missing=[] te…ws created=false updated=false refreshed=true failed=false",
	}, lines)
	_, err = v.Resolve(ctx, "crm")
	require.NoError(t, err)
}
