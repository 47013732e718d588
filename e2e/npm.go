package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// InstallPackages copies files of the working folder, with package.json and package-lock.json,
// into a temporary folder, installs the packages there with npm, and returns the folder. The
// packages' install scripts do not run.
func InstallPackages(t testing.TB, files ...string) (folder string) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			SkipMissing(t, "there is no "+name+" here: Node.js 20.19 or later and npm are needed")
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
	// npm's cache is preferred; retries cover a registry that is briefly unavailable.
	npm := exec.Command("npm", "ci", "--prefer-offline", "--fetch-retries=5", "--fetch-retry-maxtimeout=30000",
		"--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		SkipMissing(t, "npm does not install the packages of package-lock.json: "+err.Error()+"\n"+string(out))
	}
	return folder
}
