// Package e2e holds what the tests against real things share. Most folders below start one
// kind of server on loopback, as a Start for tests, and test what we say of it: vault,
// postgres, temporal. page looks at our pages in a Chromium; sdk points clients that others
// wrote at the simulator.
//
// The folder is a module of its own: what the servers need stays out of the product's build.
//
//	cd e2e && E2E=1 go test ./...
//
// Without E2E=1 a test whose server cannot be started here is skipped.
package e2e

import (
	"os"
	"testing"
)

// Missing skips a test because something is not there, and says what to do about it. With
// E2E=1 in the environment the test fails: there nothing may be missing.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("E2E") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}
