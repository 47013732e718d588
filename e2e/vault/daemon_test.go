package vault_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	server "facteur/e2e/vault"
	daemon "facteur/server"

	"github.com/stretchr/testify/require"
)

// TestDaemon rotates the token of a connection under a running daemon, that logs in by
// AppRole and may read this one path: the next send goes out with the new one, at its first
// attempt. While the vault is sealed runs wait.
func TestDaemon(t *testing.T) {
	t.Parallel()
	s := server.Start(t)
	g := newGraph(t, "EAAG1")
	rotate := func(to string) {
		s.Put(t, server.KV2, "messaging/shop", map[string]any{"token": to, "app_secret": "secret-of-the-app", "verify_token": "to-be-verified"})
		g.token.Store(to)
		g.refused.Store(0)
	}
	rotate("EAAG1")
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("role", s.Role(t, "facteur", map[string]any{"token_policies": policy(t, s, "facteur")}))
	write("secret", s.SecretID(t, "facteur", nil))
	write("facteur.yaml", fmt.Sprintf(`
vault:
  hashicorp:
    address: %q
    auth: {approle: {role_id_file: role, secret_id_file: secret}}
connections:
  shop:
    app: WHATSAPP
    vault: {mount: kv, path: messaging/shop}
    sender_phone_id: "106540352242922"
    base_url: %q
`, s.Address, g.URL))
	write("hello.flow.yaml", `
flow: hello
steps:
  - id: notify
    action: whatsapp.send_message
    connection: shop
    with: {recipient: "+33612345678", message_type: text, message: {body: Bonjour}}
`)
	client := serve(t, dir)
	start := func(wait time.Duration) *daemon.Started {
		started, err := client.Start(t.Context(), "hello", daemon.StartRequest{Inputs: map[string]any{}}, daemon.StartOption{Wait: wait})
		require.NoError(t, err)
		return started
	}
	succeeds := func(run string) {
		detail, err := client.Run(t.Context(), run, time.Minute)
		require.NoError(t, err)
		require.EqualValues(t, "succeeded", detail.Status)
		require.Equal(t, 1, detail.Steps[0].Attempts)
	}

	succeeds(start(time.Minute).RunID)
	rotate("EAAG2")
	succeeds(start(time.Minute).RunID)
	require.EqualValues(t, 1, g.refused.Load(), "it found out by a refusal, and asked the vault")
	succeeds(start(time.Minute).RunID)
	require.EqualValues(t, 1, g.refused.Load())

	rotate("EAAG3")
	s.Seal(t)
	waiting := start(0)
	require.Eventually(t, func() bool { return g.refused.Load() > 0 }, time.Minute, 5*time.Millisecond)
	detail, err := client.Run(t.Context(), waiting.RunID, 0)
	require.NoError(t, err)
	require.EqualValues(t, "running", detail.Status)
	s.Unseal(t)
	succeeds(waiting.RunID)
}

// serve runs the daemon of a project, as a process of its own, until the test ends.
func serve(t *testing.T, dir string) *daemon.Client {
	t.Helper()
	program := filepath.Join(t.TempDir(), "facteur")
	build := exec.Command("go", "build", "-o", program, "./cmd/facteur")
	build.Dir = "../.."
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)

	log := &lines{}
	process := exec.Command(program, "serve", dir, "--listen", "127.0.0.1:0")
	process.Stdout, process.Stderr = log, log
	process.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
		if t.Failed() {
			t.Logf("the daemon:\n%s", log)
		}
	})
	ready := regexp.MustCompile(`msg=ready url=(\S+)`)
	require.Eventually(t, func() bool { return ready.MatchString(log.String()) }, time.Minute, 5*time.Millisecond, "%s", log)
	return &daemon.Client{URL: ready.FindStringSubmatch(log.String())[1]}
}

// Lines are what a process says.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
