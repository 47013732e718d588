package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Facteur builds the command from the repository, once for all tests of a package, and
// returns its path. Main removes it.
func Facteur(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Main runs the tests of a package that uses Facteur: its TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

var folder string // of what was built

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "facteur-e2e-")
	if err != nil {
		return "", err
	}
	folder = dir
	path := filepath.Join(dir, "facteur")
	build := exec.Command("go", "build", "-o", path, "./cmd/facteur")
	build.Dir = "../.." // of the folder of the tests
	build.Stderr = os.Stderr
	return path, build.Run()
})
