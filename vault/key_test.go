package vault_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"facteur/vault"
	"facteur/vault/vaulttest"

	"github.com/stretchr/testify/require"
)

func TestSealAndOpen(t *testing.T) {
	dir := t.TempDir()
	v := open(t, vault.Config{Dir: dir})
	about := []byte("run 7, step notify")
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("long "), 100_000)} {
		sealed, err := v.Seal(plain, about)
		require.NoError(t, err)
		again, err := v.Seal(plain, about)
		require.NoError(t, err)
		require.NotEqual(t, sealed, again)
		if len(plain) > 1 {
			require.NotContains(t, string(sealed), string(plain[:4]))
		}
		for _, v := range []*vault.Vault{v, open(t, vault.Config{Dir: dir})} {
			opened, err := v.Open(sealed, about)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, opened))
		}
	}

	sealed, err := v.Seal([]byte("4929"), about)
	require.NoError(t, err)
	_, err = v.Open(sealed, []byte("run 8, step notify"))
	vaulttest.WantReason(t, err, vault.Corrupt)
	require.ErrorContains(t, err, "the data was changed, or sealed for another purpose")
	for i := range sealed {
		spoilt := bytes.Clone(sealed)
		spoilt[i] ^= 1
		_, err = v.Open(spoilt, about)
		require.ErrorAs(t, err, new(*vault.BackendError))
		_, err = v.Open(sealed[:i], about)
		vaulttest.WantReason(t, err, vault.Corrupt)
	}

	other := open(t, vault.Config{Dir: t.TempDir()})
	_, err = other.Open(sealed, about)
	vaulttest.WantReason(t, err, vault.NoKey)
	require.ErrorContains(t, err, "the key file is missing; restore it from a backup")
	_, err = other.Seal(nil, nil)
	require.NoError(t, err)
	_, err = other.Open(sealed, about)
	vaulttest.WantReason(t, err, vault.WrongKey)
	require.ErrorContains(t, err, "the data was sealed with another key")

	_, err = open(t, vault.Config{}).Seal(nil, nil)
	vaulttest.WantReason(t, err, vault.Misconfigured)
}

// What the first version sealed still opens.
func TestOpenFirstVersion(t *testing.T) {
	dir := t.TempDir()
	key := "AGE-SECRET-KEY-1TH09J294SK8ZL5NARXJLD0L5A5GVUHL6GFU92M2NXPYULURKLZ9QE2GQFU\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vault.key"), []byte(key), 0o600))
	sealed, err := hex.DecodeString("013bdb21ae7a9de4bfbf6ab561b474c4fb44dca6fcf511e2a3719c4a11fceb7ce0e80a1b4624cd1c3b5871b9f9fd24e49aef1343a2435dda")
	require.NoError(t, err)
	plain, err := open(t, vault.Config{Dir: dir}).Open(sealed, []byte("run 7"))
	require.NoError(t, err)
	require.Equal(t, "bonjour", string(plain))
}

func TestSealMakesNoKeyForAVaultThatLostIts(t *testing.T) {
	dir := t.TempDir()
	store(t, dir, "shop", "EAAGone")
	require.NoError(t, os.Remove(filepath.Join(dir, "vault.key")))
	_, err := open(t, vault.Config{Dir: dir}).Seal(nil, nil)
	vaulttest.WantReason(t, err, vault.NoKey)
	require.NoFileExists(t, filepath.Join(dir, "vault.key"))
}

func TestFirstKeyIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	sealed := make([][]byte, 8)
	for i := range sealed {
		v := open(t, vault.Config{Dir: dir})
		wg.Go(func() {
			var err error
			sealed[i], err = v.Seal([]byte("x"), nil)
			require.NoError(t, err)
		})
	}
	wg.Wait()
	v := open(t, vault.Config{Dir: dir})
	for _, s := range sealed {
		_, err := v.Open(s, nil)
		require.NoError(t, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	v, err := vault.New(vault.Config{Dir: b.TempDir()})
	require.NoError(b, err)
	plain := bytes.Repeat([]byte("x"), 1024)
	for b.Loop() {
		if _, err := v.Seal(plain, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRotateKey(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "vault.key")
	store(t, dir, "shop", "EAAGone")
	running := open(t, vault.Config{Dir: dir, CacheFor: -1})
	before, err := running.Seal([]byte("before"), nil)
	require.NoError(t, err)
	first, err := os.ReadFile(key)
	require.NoError(t, err)

	rotating := open(t, vault.Config{Dir: dir})
	require.NoError(t, rotating.RotateKey())
	after, err := rotating.Seal([]byte("after"), nil)
	require.NoError(t, err)

	fresh := open(t, vault.Config{Dir: dir})
	for _, v := range []*vault.Vault{running, rotating, fresh} {
		for sealed, plain := range map[string]string{string(before): "before", string(after): "after"} {
			opened, err := v.Open([]byte(sealed), nil)
			require.NoError(t, err)
			require.Equal(t, plain, string(opened))
		}
		c, err := v.Resolve(t.Context(), "shop")
		require.NoError(t, err)
		require.True(t, c.Secret("token").Equal("EAAGone"))
	}

	// The old key alone does not open what is encrypted now, nor the new one what was
	// sealed before.
	both, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, first, 0o600))
	_, err = open(t, vault.Config{Dir: dir}).Resolve(t.Context(), "shop")
	vaulttest.WantReason(t, err, vault.WrongKey)
	newest, _, _ := bytes.Cut(both, []byte("# until"))
	require.NoError(t, os.WriteFile(key, newest, 0o600))
	v := open(t, vault.Config{Dir: dir})
	_, err = v.Resolve(t.Context(), "shop")
	require.NoError(t, err)
	_, err = v.Open(before, nil)
	vaulttest.WantReason(t, err, vault.WrongKey)
}

func TestRotateKeyWithoutAKey(t *testing.T) {
	v := open(t, vault.Config{Dir: t.TempDir()})
	require.NoError(t, v.RotateKey())
	_, err := v.Seal(nil, nil)
	require.NoError(t, err)

	vaulttest.WantReason(t, open(t, vault.Config{}).RotateKey(), vault.Misconfigured)

	lost := t.TempDir()
	store(t, lost, "shop", "EAAGone")
	require.NoError(t, os.Remove(filepath.Join(lost, "vault.key")))
	vaulttest.WantReason(t, open(t, vault.Config{Dir: lost}).RotateKey(), vault.NoKey)

	file := filepath.Join(t.TempDir(), "no-folder")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	vaulttest.WantReason(t, open(t, vault.Config{Dir: t.TempDir(), KeyFile: filepath.Join(file, "vault.key")}).RotateKey(), vault.Unusable)
}

// A key file elsewhere: systemd hands it over in a folder that it guards itself, with a
// mode that says less than it does.
func TestKeyFile(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	v := open(t, vault.Config{Dir: dir})
	sealed, err := v.Seal([]byte("x"), nil)
	require.NoError(t, err)
	key := filepath.Join(elsewhere, "facteur.key")
	require.NoError(t, os.Rename(filepath.Join(dir, "vault.key"), key))
	_, err = open(t, vault.Config{Dir: dir, KeyFile: key}).Open(sealed, nil)
	require.NoError(t, err)

	require.NoError(t, os.Chmod(key, 0o440))
	_, err = open(t, vault.Config{Dir: dir, KeyFile: key}).Open(sealed, nil)
	vaulttest.WantReason(t, err, vault.Exposed)
	guarded := func(name string) (string, bool) { return elsewhere, name == "CREDENTIALS_DIRECTORY" }
	_, err = open(t, vault.Config{Dir: dir, KeyFile: key, Env: guarded}).Open(sealed, nil)
	require.NoError(t, err)
}

// TestSealDir: connections come from one folder, the key for data at rest from another, and
// nothing is made in the first.
func TestSealDir(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	v := open(t, vault.Config{Dir: dir, SealDir: elsewhere})
	sealed, err := v.Seal([]byte("x"), nil)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "vault.key"))
	require.FileExists(t, filepath.Join(elsewhere, "vault.key"))

	store(t, dir, "shop", "EAAGone")
	c, err := v.Resolve(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, "EAAGone", c.Secret("token").Reveal())
	opened, err := open(t, vault.Config{Dir: elsewhere}).Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(opened))
	_, err = open(t, vault.Config{Dir: dir}).Open(sealed, nil)
	vaulttest.WantReason(t, err, vault.WrongKey)
}
