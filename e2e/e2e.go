// Package e2e holds what the tests against real servers share. Each folder below starts one
// kind of server on loopback, for the duration of a test, and tests Facteur against it; storm is for
// those that kill daemons.
//
// The folder is a module of its own, so that the servers' dependencies stay out of the product's
// build. Vault and Temporal are built into the tests. PostgreSQL, Chromium, and strace, which
// records what is on the disk at a power loss, come from the machine (Debian: postgresql-15,
// chromium, strace):
//
//	cd e2e && E2E=1 go test -mod=mod -p 1 ./...
//
// Without E2E=1 a test whose server is missing is skipped; -p 1 runs one folder at a time.
// Clients of the Cloud API and axe-core are installed from npm, which needs Node.js 20.19. The
// first build takes some 25 minutes of one processor, and 3 GB of memory. Do not tidy the
// module: Vault needs replacements and one older version, see go.mod.
//
// The command bench compares the cost of a run with a bare loop of requests and with a
// hand-written Temporal workflow:
//
//	cd e2e && go run -mod=mod ./bench
package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SkipMissing skips a test because a dependency is missing; why says how to get it. With E2E=1
// in the environment the test fails instead.
func SkipMissing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("E2E") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// StormDuration is how long a storm test lasts: FACTEUR_TEST_STORM, e.g. 5m, by default usual.
func StormDuration(t testing.TB, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("FACTEUR_TEST_STORM")
	if text == "" {
		return usual
	}
	length, err := time.ParseDuration(text)
	require.NoError(t, err)
	return length
}
