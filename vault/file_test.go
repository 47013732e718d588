package vault_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"facteur/vault"
	"facteur/vault/vaulttest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
)

func store(t *testing.T, dir, name, value string) {
	t.Helper()
	require.NoError(t, open(t, vault.Config{Dir: dir}).Set(context.Background(), name, vault.WhatsApp, nil, token(value)))
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestFile(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "data")
	v := open(t, vault.Config{Dir: dir})

	infos, err := v.List(ctx)
	require.NoError(t, err)
	require.Empty(t, infos)
	_, err = v.Resolve(ctx, "shop")
	require.ErrorAs(t, err, new(*vault.UnknownConnectionError))
	require.NoDirExists(t, dir, "reading makes nothing")

	require.NoError(t, v.Set(ctx, "shop", vault.WhatsApp, map[string]string{"waba_id": "1", "api_version": "v23.0"}, map[string]vault.Secret{"token": vault.NewSecret("EAAGone"), "app_secret": vault.NewSecret("aaa")}))
	require.NoError(t, v.Set(ctx, "crm", vault.HTTP, nil, token("bbb")))
	require.NoError(t, v.Set(ctx, "shop", vault.WhatsApp, map[string]string{"waba_id": "2", "api_version": ""}, map[string]vault.Secret{"token": vault.NewSecret("EAAGtwo"), "app_secret": {}}))
	for _, v := range []*vault.Vault{v, open(t, vault.Config{Dir: dir})} {
		c, err := v.Resolve(ctx, "shop")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"type": "TOKEN", "waba_id": "2"}, c.Setup)
		require.True(t, c.Secret("token").Equal("EAAGtwo"))
		require.True(t, c.Secret("app_secret").IsZero())
	}
	for name, mode := range map[string]fs.FileMode{"": 0o700, "vault.key": 0o600, "vault.age": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	require.NotContains(t, content(t, filepath.Join(dir, "vault.age")), "EAAG")

	require.NoError(t, v.Set(ctx, "crm", vault.Webhook, nil, map[string]vault.Secret{"secret": vault.NewSecret("ccc")}))
	c, err := v.Resolve(ctx, "crm")
	require.NoError(t, err)
	require.Equal(t, vault.Webhook, c.App)
	require.True(t, c.Secret("token").IsZero(), "the fields of another app are gone")

	require.NoError(t, v.Remove(ctx, "shop"))
	_, err = v.Resolve(ctx, "shop")
	require.EqualError(t, err, `there is no connection "shop": store it with "facteur vault set shop", or use one of crm`)
	require.ErrorAs(t, v.Remove(ctx, "shop"), new(*vault.UnknownConnectionError))
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestSetRefuses(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	v := open(t, vault.Config{
		Dir:         dir,
		Env:         variables{"FACTEUR_CONNECTION_FROM_ENV_TOKEN": "x"}.lookup,
		Connections: map[string]vault.Mapping{"declared": {App: vault.WhatsApp}},
		Fixed:       map[string]vault.Connection{"fixed": {}},
	})
	tests := []struct {
		name    string
		app     vault.App
		setup   map[string]string
		secrets map[string]vault.Secret
		err     string
	}{
		{"a b", vault.HTTP, nil, token("x"), `connection "a b": name: it is not a valid name`},
		{"a", "SMS", nil, token("x"), "there is no such app; use one of HTTP, WEBHOOK, WHATSAPP"},
		{"a", vault.WhatsApp, nil, map[string]vault.Secret{"tokn": vault.NewSecret("x")}, "tokn: there is no such field; use one of token"},
		{"a", vault.WhatsApp, map[string]string{"token": "EAAGplain"}, nil, "token: it is a secret and does not belong in plain text"},
		{"a", vault.WhatsApp, map[string]string{"api_version": "23"}, token("x"), `api_version: it does not match ^v\d+\.\d+$`},
		{"a", vault.WhatsApp, map[string]string{"base_url": "graph.facebook.com"}, token("x"), "base_url: it does not match"},
		{"a", vault.WhatsApp, nil, token("two words"), "token: it contains a space"},
		{"declared", vault.HTTP, nil, token("x"), "app: the project file says WHATSAPP"},
		{"fixed", vault.WhatsApp, nil, token("x"), `connection "fixed": test: cannot write: it cannot be changed here`},
		{"from-env", vault.WhatsApp, nil, token("x"), "unset FACTEUR_CONNECTION_FROM_ENV_… first"},
	}
	for _, tt := range tests {
		err := v.Set(ctx, tt.name, tt.app, tt.setup, tt.secrets)
		require.ErrorContains(t, err, tt.err)
		noLeak(t, err, "EAAGplain")
		noLeak(t, err, "two words")
	}
	require.NoFileExists(t, filepath.Join(dir, "vault.age"))
	vaulttest.WantReason(t, open(t, vault.Config{}).Set(ctx, "a", vault.WhatsApp, nil, token("x")), vault.Misconfigured)
}

// TestDamage spoils the files and then tries to read and to write: both must
// tell what is wrong, and neither may touch what is left.
func TestDamage(t *testing.T) {
	rewrite := func(name string, change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(change(content(t, path))), 0o600))
		}
	}
	tests := []struct {
		name   string
		spoil  func(t *testing.T, dir string)
		reason vault.Reason
		err    string
	}{
		{"empty file", rewrite("vault.age", func(string) string { return "" }), vault.Corrupt, "vault.age: it is damaged or incomplete; restore it from a backup; nothing was changed"},
		{"header only", rewrite("vault.age", func(s string) string { return s[:20] }), vault.Corrupt, "damaged"},
		{"cut", rewrite("vault.age", func(s string) string { return s[:len(s)-1] }), vault.Corrupt, "damaged"},
		{"longer", rewrite("vault.age", func(s string) string { return s + "x" }), vault.Corrupt, "damaged"},
		{"a bit turned", rewrite("vault.age", func(s string) string { return s[:len(s)-9] + string(s[len(s)-9]^1) + s[len(s)-8:] }), vault.Corrupt, "damaged"},
		{"not age", rewrite("vault.age", func(string) string { return `{"token":"EAAGone"}` }), vault.Corrupt, "damaged"},
		{"another key", rewrite("vault.key", func(string) string {
			id, _ := age.GenerateX25519Identity()
			return id.String()
		}), vault.WrongKey, "it was encrypted with a key other than"},
		{"no key", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "vault.key"))) }, vault.NoKey, "vault.key is missing; restore the key file from a backup"},
		{"empty key", rewrite("vault.key", func(string) string { return "" }), vault.Corrupt, "vault.key: it contains no age identity"},
		{"cut key", rewrite("vault.key", func(s string) string { return s[:len(s)-5] }), vault.Corrupt, "vault.key: line 3 is not an age identity"},
		{"readable key", func(t *testing.T, dir string) { require.NoError(t, os.Chmod(filepath.Join(dir, "vault.key"), 0o644)) }, vault.Exposed, "others on this machine may read the key (mode 0644); run: chmod 600 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.Background()
			dir := t.TempDir()
			store(t, dir, "shop", "EAAGone")
			key := content(t, filepath.Join(dir, "vault.key"))
			tt.spoil(t, dir)
			left := os.DirFS(dir)
			before := snapshot(t, left)

			v := open(t, vault.Config{Dir: dir})
			_, err := v.Resolve(ctx, "shop")
			for op, err := range map[string]error{
				"resolve": err,
				"set":     v.Set(ctx, "new", vault.WhatsApp, nil, token("EAAGtwo")),
				"remove":  v.Remove(ctx, "shop"),
			} {
				require.True(t, vaulttest.WantReason(t, err, tt.reason).Unreadable())
				require.ErrorContains(t, err, tt.err, op)
				require.ErrorContains(t, err, "vault file: cannot", op)
				noLeak(t, err, strings.TrimSpace(key[strings.Index(key, "AGE-SECRET"):]))
				noLeak(t, err, "EAAG")
			}
			_, err = v.List(ctx)
			vaulttest.WantReason(t, err, tt.reason)
			require.Equal(t, before, snapshot(t, left))
		})
	}
}

func snapshot(t *testing.T, dir fs.FS) map[string]string {
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, path)
		files[path] = string(b)
		return err
	}))
	return files
}

func TestKeyIsRotated(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	store(t, dir, "shop", "EAAGone")
	sealed, err := open(t, vault.Config{Dir: dir}).Seal([]byte("before"), nil)
	require.NoError(t, err)

	path := filepath.Join(dir, "vault.key")
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(id.String()+"\n"+content(t, path)), 0o600))
	v := open(t, vault.Config{Dir: dir})
	plain, err := v.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "before", string(plain))
	require.NoError(t, v.Set(ctx, "crm", vault.HTTP, nil, token("x")))
	after, err := v.Seal([]byte("after"), nil)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(path, []byte(id.String()), 0o600))
	v = open(t, vault.Config{Dir: dir})
	c, err := v.Resolve(ctx, "shop")
	require.NoError(t, err, "all was encrypted anew")
	require.True(t, c.Secret("token").Equal("EAAGone"))
	_, err = v.Open(after, nil)
	require.NoError(t, err)
	_, err = v.Open(sealed, nil)
	vaulttest.WantReason(t, err, vault.WrongKey)
}

// TestProcesses writes from several processes at the same time, and loses
// nothing.
func TestProcesses(t *testing.T) {
	const env = "FACTEUR_TEST_WRITE"
	const each = 5
	if spec := os.Getenv(env); spec != "" {
		dir, who, _ := strings.Cut(spec, "|")
		for i := range each {
			store(t, dir, fmt.Sprintf("%s-%d", who, i), "EAAG-"+who)
		}
		return
	}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for _, who := range []string{"a", "b", "c"} {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestProcesses$")
			cmd.Env = append(os.Environ(), env+"="+dir+"|"+who)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", who, err, out)
			}
		})
		wg.Go(func() {
			for i := range each {
				store(t, dir, fmt.Sprintf("%s-here-%d", who, i), "EAAG-"+who)
			}
		})
	}
	wg.Wait()
	infos, err := open(t, vault.Config{Dir: dir}).List(context.Background())
	require.NoError(t, err)
	require.Len(t, infos, 3*2*each)
	for _, i := range infos {
		require.True(t, i.Ready)
	}
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	v := open(t, vault.Config{Dir: dir})
	err := v.Set(context.Background(), "a", vault.WhatsApp, nil, token("x"))
	vaulttest.WantReason(t, err, vault.Unusable)
	require.ErrorContains(t, err, "not a directory; make sure that the folder exists")
	_, err = v.Resolve(context.Background(), "a")
	vaulttest.WantReason(t, err, vault.Unusable)
}
