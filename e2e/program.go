package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/cmd/facteur/logtest"
)

// Command is facteur in a folder, with no environment but env. The program is built from the
// repository, once for all tests of a package; Main removes it.
func Command(t testing.TB, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	return cmd
}

// Main runs the tests of a package that uses Command: its TestMain.
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

// A Process is a command at work: facteur serve, or another that goes on until it is told to end.
type Process struct {
	PID int            // of who gets signals
	Log *logtest.Lines // what it says, on both of its streams

	ended chan struct{}
}

// Start starts a command that ends with the test, in order, at the latest.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Log: &logtest.Lines{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Log, p.Log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // how it ends, its signal decides
		p.Log.End()
		close(p.ended)
	}()
	t.Cleanup(func() {
		late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		p.End(syscall.SIGTERM)
		if said := p.Log.String(); t.Failed() {
			t.Logf("%v:\n%s", cmd.Args, said[max(0, len(said)-20_000):])
		}
	})
	return p
}

// Ready waits until a daemon is ready, and returns its address.
func (p *Process) Ready(t testing.TB) (url string) {
	t.Helper()
	return p.Log.Wait(t, `(?:msg=ready url=|"msg":"ready","url":")([^\s"]+)`)
}

// End sends a signal to end it, unless it has ended, and returns once it has.
func (p *Process) End(by syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(p.PID, by)
		<-p.ended
	}
}
