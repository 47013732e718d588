//go:build unix

package privatefile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"facteur/privatefile"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What root writes stays with whom it belonged to, or goes to whom the folder belongs to.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const daemon, other = 65534, 65533
	dir := t.TempDir()
	require.NoError(t, os.Chown(dir, daemon, daemon))
	owner := func(name string) int {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	write := func(name string) {
		unlock, err := privatefile.Lock(filepath.Join(dir, name+".lock"))
		require.NoError(t, err)
		defer unlock()
		require.NoError(t, privatefile.Replace(filepath.Join(dir, name), []byte("x")))
	}
	write("key")
	assert.Equal(t, daemon, owner("key"))
	assert.Equal(t, daemon, owner("key.lock"))
	require.NoError(t, os.Chown(filepath.Join(dir, "key"), other, other))
	write("key")
	assert.Equal(t, other, owner("key"))
	require.NoError(t, os.Chown(filepath.Join(dir, "key"), 0, 0))
	write("key")
	assert.Equal(t, 0, owner("key"), "it was root's before")
}
