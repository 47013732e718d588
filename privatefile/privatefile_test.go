package privatefile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"facteur/privatefile"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, content := range []string{"first, and longer", "second"} {
		unlock, err := privatefile.Lock(path + ".lock")
		require.NoError(t, err)
		require.NoError(t, privatefile.Replace(path, []byte(content)))
		unlock()
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(got))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
	}
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 2, "the file and its lock")

	assert.Error(t, privatefile.Replace(filepath.Join(filepath.Dir(path), "none", "key"), nil))
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	part, path := filepath.Join(dir, "copy.part"), filepath.Join(dir, "copy")
	require.NoError(t, os.WriteFile(part, []byte("whole"), 0o600))
	require.NoError(t, privatefile.Place(part, path))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "whole", string(got))

	require.NoError(t, os.WriteFile(path, []byte("another's"), 0o600))
	require.ErrorIs(t, privatefile.Place(part, path), fs.ErrExist)
	got, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "another's", string(got), "nothing is overwritten")
}
