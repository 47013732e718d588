package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Packages copies files of this folder, package.json and package-lock.json among them, into
// a temporary one, installs from npm what they name, and returns the temporary folder.
// Nothing of the packages runs meanwhile.
func Packages(t testing.TB, files ...string) (folder string) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, "there is no "+name+" here: Node.js 20.19 or later and npm are needed")
		}
	}
	folder = t.TempDir()
	for _, name := range append(files, "package.json", "package-lock.json") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What was fetched once is taken from npm's cache; a registry that is away for a moment
	// is asked again.
	npm := exec.Command("npm", "ci", "--prefer-offline", "--fetch-retries=5", "--fetch-retry-maxtimeout=30000",
		"--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		Missing(t, "npm does not install the packages of package-lock.json: "+err.Error()+"\n"+string(out))
	}
	return folder
}
