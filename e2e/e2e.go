// Package e2e holds what the tests against real servers share. Each folder below starts one
// kind of server on loopback, for the length of a test, and tests what we say of it.
//
// The folder is a module of its own: what the servers need stays out of the product's build.
// Vault and Temporal are built into the tests, PostgreSQL and Chromium come from the machine
// (Debian: postgresql-15, chromium), and strace, which tells what a disk has when the power
// goes:
//
//	cd e2e && E2E=1 go test -mod=mod -p 1 ./...
//
// Without E2E=1 a test whose server is not there is skipped; -p 1 leaves the machine to one
// folder at a time. Node.js 20.19 and npm bring clients of the Cloud API, and axe-core. The
// first build takes a while: some 25 minutes of one processor, and 3 GB of memory. Do not
// tidy the module: Vault needs replacements and one older version, see go.mod.
//
// What a run costs, beside a bare loop of requests and a Temporal workflow by hand, the
// command bench measures:
//
//	cd e2e && go run -mod=mod ./bench
package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// StormFor is how long a storm lasts: what FACTEUR_TEST_STORM says, e.g. 5m, or else usual.
func StormFor(t testing.TB, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("FACTEUR_TEST_STORM")
	if text == "" {
		return usual
	}
	length, err := time.ParseDuration(text)
	require.NoError(t, err)
	return length
}
