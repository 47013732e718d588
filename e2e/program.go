package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/cmd/facteur/logtest"
)

// Command runs facteur in a folder, with PATH, HOME and env as its environment. The program is
// built from the repository, once for all tests of a package; Main removes it.
func Command(t testing.TB, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	return cmd
}

// FreeAddress returns an address on loopback, host:port, at which nobody listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// WriteFile writes a file that a running daemon may read: it is never seen half.
func WriteFile(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	err := os.WriteFile(path+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Main is the TestMain of a package that uses Command.
func Main(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

var buildDir string // of the built program; "" before the first Command

var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "facteur-e2e-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "facteur")
	build := exec.Command("go", "build", "-o", path, "./cmd/facteur")
	build.Dir = "../.." // of the folder of the tests
	build.Stderr = os.Stderr
	return path, build.Run()
})

// A Process is a running command that ends on a signal, such as facteur serve.
type Process struct {
	PID int            // receives the signals
	Log *logtest.Lines // stdout and stderr

	done chan struct{}
}

// Start starts a command. The end of the test stops it by SIGTERM, and kills it a minute later.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Log: &logtest.Lines{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Log, p.Log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		_ = cmd.Wait() // the error depends on the signal that ended it
		p.Log.End()
		close(p.done)
	}()
	t.Cleanup(func() {
		late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		p.SignalAndWait(syscall.SIGTERM)
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

// SignalAndWait sends a signal unless the process has exited, and waits until it has.
func (p *Process) SignalAndWait(by syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.PID, by)
		<-p.done
	}
}
