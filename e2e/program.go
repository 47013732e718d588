package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Facteur builds the command from the repository, once for all tests of a package, and
// returns its path.
func Facteur(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "facteur-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "facteur")
	build := exec.Command("go", "build", "-o", path, "./cmd/facteur")
	build.Dir = "../.." // of the folder of the tests
	build.Stderr = os.Stderr
	return path, build.Run()
})
